"""tests/run: it counts what should have run, not only what was printed."""

import importlib.machinery
import importlib.util
import subprocess
import sys

import pytest

import harness

PROGRAM = r"""
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void passes(void **state) { (void)state; }
static void fails(void **state) { (void)state; assert_true(0); }
static void skips(void **state) { (void)state; skip(); }
static void ends(void **state) { (void)state; exit(0); }
static int broken(void **state) { (void)state; return -1; }

#define RUN(start, stop, ...) do { \
    const struct CMUnitTest tests[] = {__VA_ARGS__}; \
    return cmocka_run_group_tests(tests, start, stop); } while (0)

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "well") == 0)
        RUN(NULL, NULL, cmocka_unit_test(passes), cmocka_unit_test(skips));
    if (strcmp(what, "failing") == 0)
        RUN(NULL, NULL, cmocka_unit_test(fails), cmocka_unit_test(fails), cmocka_unit_test(passes));
    if (strcmp(what, "ended") == 0)
        RUN(NULL, NULL, cmocka_unit_test(passes), cmocka_unit_test(ends), cmocka_unit_test(passes));
    if (strcmp(what, "setup") == 0)
        RUN(NULL, NULL, cmocka_unit_test_setup(passes, broken), cmocka_unit_test(passes));
    if (strcmp(what, "group setup") == 0)
        RUN(broken, NULL, cmocka_unit_test(passes));
    if (strcmp(what, "group teardown") == 0)
        RUN(NULL, broken, cmocka_unit_test(passes));
    return 0;
}
"""

# What a program does: how many passed, failed, were skipped.
CASES = {"well": (1, 0, 1), "failing": (1, 2, 0), "ended": (1, 1, 0), "setup": (1, 1, 0),
         "group setup": (0, 1, 0), "group teardown": (1, 1, 0), "no tests": (0, 1, 0)}


@pytest.fixture(scope="module")
def program():
    with harness.folder() as folder:
        (folder / "program.c").write_text(PROGRAM)
        subprocess.run(["cc", "-o", folder / "program", folder / "program.c", "-lcmocka"], check=True)
        yield folder / "program"


@pytest.fixture
def runner(monkeypatch):
    """tests/run as a module."""
    path = str(harness.ROOT / "tests" / "run")
    loader = importlib.machinery.SourceFileLoader("run", path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("run", loader))
    loader.exec_module(module)
    return module


@pytest.mark.parametrize("what", CASES)
def test_a_program_that_ran_less_than_it_announced_has_failed(runner, program, what):
    done = subprocess.run([program, what], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert runner.read_report(done.returncode, done.stdout)[0] == CASES[what], done.stdout


def test_a_program_that_crashed_behind_its_tests_has_failed(runner, program):
    report = subprocess.run([program, "well"], stdout=subprocess.PIPE, text=True).stdout
    assert runner.read_report(86, report)[0] == (1, 1, 1)


def test_a_program_that_is_not_there_has_failed(runner, folder):
    tally = runner.Tally()
    runner.unit(folder, tally)
    sources = list((harness.ROOT / "tests" / "unit").glob("test_*.c"))
    assert (tally.passed, tally.failed) == (0, len(sources) + 1)


def test_what_hangs_is_ended_with_all_that_it_started(runner):
    for seconds in (1, 10):  # the first is too little for a start on a busy machine
        status, said = runner.run_in_time(["sh", "-c", "sleep 1000 & echo $!; wait"], harness.BUILD,
                                          seconds, stdout=subprocess.PIPE)
        assert status is None and "not done in time" in said
        if said[0].isdigit():
            break
    harness.until("the other is gone", lambda: harness.state(int(said.split()[0])) in ("", "Z"))
