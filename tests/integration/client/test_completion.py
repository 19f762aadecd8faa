"""The completion of bash: names with blanks stay one word."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
eval "$(python -c 'from chronos_client.commands.program import main; main()' completion bash)"
COMP_WORDS=(chronos jobs get ref) COMP_CWORD=3
_chronos_completion "$1"
printf '%s\\n' "${COMPREPLY[@]}"
"""
ANSWERS = """#!/bin/sh
[ "$_CHRONOS_COMPLETE" = bash_complete ] && [ "$COMP_WORDS" = "chronos jobs get ref" ] || exit 1
echo "plain,Refresh exchange rates"
echo "plain,Refund Ada's order"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_a_name_with_blanks_and_quotation_marks_stays_one_word(tmp_path: Path) -> None:
    answering = tmp_path / "chronos"
    answering.write_text(ANSWERS)
    answering.chmod(0o755)
    folder = Path(sys.executable).parent
    done = subprocess.run(
        ["bash", "-c", SCRIPT, "bash", str(answering)],
        env={"PATH": f"{folder}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == [r"Refresh\ exchange\ rates", r"Refund\ Ada\'s\ order"]
