"""What the other tests rely on: whoever dies unasked, or has a memory error, is noticed."""

import os
import signal
import subprocess

import pytest

import harness
import sanitizers


def test_a_program_that_died_is_noticed_also_when_another_has_taken_its_place(folder):
    running = harness.Embedded(folder)
    os.kill(running.program.pid, signal.SIGKILL)  # not by kill(), which is a test's own doing
    running.program.process.wait()
    running.start()
    with pytest.raises(AssertionError, match="leat ended with -9"):
        running.close()
    assert running.program.process.returncode == 0


@pytest.mark.parametrize("harm", ["((char *)malloc(4))[n + 3] = 1", "n += 2147483647", "malloc(9); malloc(8)"])
def test_a_memory_error_has_a_status_of_its_own(folder, harm):
    (folder / "harm.c").write_text("#include <stdlib.h>\nint main(int n, char **v)\n"
                                   "{ (void)v; %s; return n ? 1 : 0; }\n" % harm)
    subprocess.run(["cc", "-O0", "-w", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined",
                    "-o", folder / "harm", folder / "harm.c"], check=True)
    done = subprocess.run([folder / "harm"], stderr=subprocess.PIPE, text=True)
    assert done.returncode == sanitizers.STATUS, done.stderr
    assert sanitizers.reported(0, done.stderr)
