"""What is quoted of an installer that failed. test_build.py asks real ones; here is what they cannot be made to say."""

from __future__ import annotations

from inference_server.environments.failure import MOST_LINES, decisive, missing_package, reason

UV_BUILD = """\
Resolved 2 packages in 1ms
  × Failed to build `broken @ file:///tmp/broken`
  ├─▶ The build backend returned an error
  ╰─▶ Call to `setuptools.build_meta.build_wheel` failed (exit status: 1)

      [stderr]
      Traceback (most recent call last):
        File "<string>", line 11, in <module>
      error: no compiler

      hint: This usually indicates a problem with the package or the build environment.
""".splitlines()
PIP = """\
Collecting numpy==99
  ERROR: HTTP error
ERROR: Could not find a version that satisfies the requirement numpy==99 (from versions: 1.3.0, 1.4.1)
ERROR: No matching distribution found for numpy==99
""".splitlines()
DISK = ["error: Failed to install: scipy-1.17.1.whl", "  Caused by: No space left on device (os error 28)"]


def test_a_package_that_cannot_be_built() -> None:
    lines = decisive(UV_BUILD)
    assert lines[0] == "Failed to build `broken @ file:///tmp/broken`"
    assert any("error: no compiler" in line for line in lines)
    assert "has no wheel for this Python" in reason(UV_BUILD)


def test_pip_says_it_in_lines_of_its_own() -> None:
    assert decisive(PIP)[-1] == "No matching distribution found for numpy==99"
    assert reason(PIP) == "a version that is asked for is not on the index"
    assert missing_package(PIP) == ""
    none = "ERROR: Could not find a version that satisfies the requirement nowhere==1 (from versions: none)"
    assert missing_package([none]) == "nowhere"


def test_an_argument_that_was_wrapped_has_a_line_for_each_step() -> None:
    lines = [
        "  × No solution found when resolving dependencies:",
        "  ╰─▶ Because needs-old==1.0 depends on shapes<2 and you require",
        "      shapes==2, we can conclude that needs-old cannot be used.",
        "      And because you require needs-old, we can conclude that your",
        "      requirements are unsatisfiable.",
    ]
    assert decisive(lines) == [
        "No solution found when resolving dependencies:",
        "Because needs-old==1.0 depends on shapes<2 and you require shapes==2, we can conclude that needs-old cannot "
        "be used.",
        "And because you require needs-old, we can conclude that your requirements are unsatisfiable.",
    ]


def test_a_full_disk_and_many_lines() -> None:
    assert reason(DISK) == "the disk is full"
    assert len(decisive([f"line {number}" for number in range(500)])) <= MOST_LINES
    assert (
        len(decisive(["× No solution found", *(f"Because {number}" for number in range(500))]))
        <= MOST_LINES + 1
    )
    assert decisive([]) == []


def test_conda_says_what_nothing_provides() -> None:
    lines = [
        "conda-forge/noarch",
        "error    libmamba Could not solve",
        "    nothing provides x",
        "critical libmamba end",
    ]
    assert decisive(lines)[:2] == ["error    libmamba Could not solve", "nothing provides x"]
