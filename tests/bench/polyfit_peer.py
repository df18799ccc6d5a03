#!/usr/bin/python3
"""The fifteen regression figures the straightforward way: numpy.polyfit, window by window.

  tests/bench/polyfit_peer.py [SECONDS]

Fits the default windows over a random walk for about SECONDS (default 3) and prints
`polyfit_loop VALUE fits/s`. One core (BLAS is kept from starting threads) and time
on it, which others on this machine do not lengthen.
"""

import os
import sys
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np  # noqa: E402

WINDOWS = (15, 30, 45, 60, 75, 90)


def positions(n):
    return (np.arange(n) - (n - 1) / 2) / np.sqrt((n * n - 1) / 12)


def figures(x, y):
    a2, a1, b = np.polyfit(x, y, 2)
    fitted = (a2 * x + a1) * x + b
    residuals = y - fitted
    ss_res = np.sum(residuals**2)
    r2 = 1 - ss_res / (np.sum((y - np.mean(y)) ** 2) + 1e-10)
    residual_std = np.std(residuals)
    prediction = fitted[-1]
    vertex_x = -a1 / (2 * a2 + 1e-10)
    return (
        a2, a1, b, r2, np.sqrt(ss_res / len(y)), np.mean(residuals), residual_std,
        prediction - 1.96 * residual_std, prediction + 1.96 * residual_std, prediction,
        vertex_x, (a2 * vertex_x + a1) * vertex_x + b, abs(a2), min(max(r2, 0), 1),
        residual_std / (abs(prediction) + 1e-10),
    )


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    y = 100 + np.cumsum(np.random.default_rng(1).uniform(-0.01, 0.01, 100_000))
    xs = [positions(n) for n in WINDOWS]
    fits, row, begin = 0, max(WINDOWS), time.process_time()
    while time.process_time() - begin < seconds and row <= len(y):
        for n, x in zip(WINDOWS, xs):
            figures(x, y[row - n:row])
        fits += len(WINDOWS)
        row += 1
    print(f"polyfit_loop {fits / (time.process_time() - begin):.0f} fits/s")


if __name__ == "__main__":
    main()
