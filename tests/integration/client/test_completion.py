"""Completion in real shells: commands, options, and names of jobs with every character."""

import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

#: Bound of a wait for a shell.
SECONDS = 150
NAMES = ("Refresh exchange rates", "Refund Ada's order", "Report: daily, eu", 'Cost $5 `x` "q"')

#: The command line with a server that has these jobs.
PROGRAM = f"""#!{sys.executable}
from click.shell_completion import CompletionItem
from chronos_client.commands.parameters import JobReference
from chronos_client.commands.program import chronos

def names(self, ctx, param, incomplete):
    return [CompletionItem(each) for each in {NAMES!r} if each.startswith(incomplete)]

JobReference.shell_complete = names
chronos(prog_name="chronos")
"""
BASH = """
eval "$(chronos completion bash)"
COMP_WORDS=(chronos jobs get {word}) COMP_CWORD=3
_chronos_completion chronos
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
#: A Tab completes although keys follow it. Ctrl-X shows the line and empties it.
ZSH = """autoload -U compinit; compinit -u -D; eval "$(chronos completion zsh)"
zstyle ':completion:*' insert-tab false
shown() { print -r -- "<$BUFFER>"; BUFFER=; zle accept-line; }; zle -N shown; bindkey '^X' shown
print REA''DY
"""


def needs(shell: str) -> pytest.MarkDecorator:
    missing = shutil.which(shell) is None
    return pytest.mark.skipif(missing, reason=f"{shell} is not installed")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    program = tmp_path / "chronos"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    return {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
    }


def output_of(*command: str, environment: dict[str, str]) -> list[str]:
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=SECONDS
    )
    return done.stdout.splitlines()


@needs("bash")
def test_bash_completes_a_name_as_one_word(environment: dict[str, str]) -> None:
    script = BASH.format(word="Re")
    found = output_of("bash", "-c", script, environment=environment)
    assert [shlex.split(each) for each in found] == [[name] for name in NAMES[:3]]


@needs("fish")
def test_fish_completes_commands_options_and_names(environment: dict[str, str]) -> None:
    lines = ["chronos jobs get Re", "chronos jobs get Cost", r"chronos jobs get Refresh\ ex",
             "chronos replay", "chronos jobs get --outp"]  # fmt: skip
    asked = "; ".join(f"complete -C {shlex.quote(each)}" for each in lines)
    found = output_of(
        "fish", "-c", f"chronos completion fish | source; {asked}", environment=environment
    )
    words = [each.partition("\t")[0] for each in found]
    assert words == [*NAMES, NAMES[0], "replays", "--output"]


@needs("zsh")
def test_zsh_completes_commands_options_and_names(environment: dict[str, str]) -> None:
    words = {
        "jobs get Refre": NAMES[0],
        "jobs get Refu": NAMES[1],
        "jobs get Rep": NAMES[2],
        "jobs get Cos": NAMES[3],
        r"jobs get Refresh\ ex": NAMES[0],
        "replay": "replays",
        "jobs get --outp": "--output",
    }
    shown = lines_of_zsh([f"chronos {each}" for each in words], environment)
    assert [shlex.split(each)[-1] for each in shown] == list(words.values())


def lines_of_zsh(typed: Sequence[str], environment: dict[str, str]) -> list[str]:
    """Return what each beginning of a line becomes in a zsh by the key Tab."""
    process, terminal = pty.fork()
    if process == 0:
        os.execve("/usr/bin/env", ["env", "zsh", "-f", "-i"], environment)  # noqa: S606 - a shell
    try:
        os.write(terminal, ZSH.encode())
        read_until(terminal, "READY")
        return [completed(terminal, each) for each in typed]
    finally:
        os.close(terminal)  # it hangs up, and zsh ends
        os.waitpid(process, 0)


def completed(terminal: int, line: str) -> str:
    os.write(terminal, f"{line}\t\x18".encode())
    return read_until(terminal, r"<(chronos .*?)>\r\n")[1]


def read_until(terminal: int, pattern: str) -> re.Match[str]:
    text = ""
    while select.select([terminal], [], [], SECONDS)[0]:
        text += os.read(terminal, 65_536).decode(errors="replace")
        if found := re.search(pattern, text):
            return found
    pytest.fail(f"the shell is silent after {text[-500:]!r}")
