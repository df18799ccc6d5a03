"""How sanitized programs report in tests: with a status that Leat itself never ends with, so that a
memory error is not taken for the failure that a test expects."""

import pathlib

STATUS = 86
WORDS = ("ERROR: AddressSanitizer", "runtime error:", "ERROR: LeakSanitizer")
ENVIRONMENT = {
    "ASAN_OPTIONS": f"detect_leaks=1:abort_on_error=0:exitcode={STATUS}",
    "UBSAN_OPTIONS": f"print_stacktrace=1:exitcode={STATUS}",
    "LSAN_OPTIONS": f"suppressions={pathlib.Path(__file__).resolve().parent}/lsan.supp"
                    f":print_suppressions=0:exitcode={STATUS}",
}


def reported(status, text):
    """Whether a program that ended with this status and said this had a memory error."""
    return status == STATUS or any(word in text for word in WORDS)
