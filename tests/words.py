"""Words of command lines that several programs here take."""

import argparse


def whole_number(text):
    """For argparse: what a run lasts."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of 1 or more, not '{text}'")
    return int(text)
