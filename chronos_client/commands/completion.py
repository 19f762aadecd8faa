"""``chronos completion``: lets a shell complete commands, options and names of jobs."""

import click
from click.shell_completion import get_completion_class

from chronos_client.commands.command import ClientGroup

_VARIABLE = "_CHRONOS_COMPLETE"

#: As click's own, but names with blanks and quotation marks are quoted.
_BASH = r"""
_chronos_completion() {
    local type value
    while IFS=',' read -r type value; do
        case $type in
            dir) COMPREPLY=(); compopt -o dirnames ;;
            file) COMPREPLY=(); compopt -o default ;;
            plain) COMPREPLY+=("$(printf '%q' "$value")") ;;
        esac
    done < <(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD="$COMP_CWORD" \
        _CHRONOS_COMPLETE=bash_complete "$1" 2>/dev/null)
}
complete -o nosort -F _chronos_completion chronos
"""

#: As click's own, but names with commas stay whole.
_FISH = r"""
function _chronos_completion
    set -l answer (env _CHRONOS_COMPLETE=fish_complete COMP_WORDS=(commandline -cp) \
        COMP_CWORD=(commandline -t) chronos 2>/dev/null)
    for each in $answer
        set -l parts (string split --max 1 -- , $each)
        switch $parts[1]
            case dir
                __fish_complete_directories $parts[2]
            case file
                __fish_complete_path $parts[2]
            case plain
                echo $parts[2]
        end
    end
end
complete --no-files --command chronos --arguments "(_chronos_completion)"
"""
_OWN = {"bash": _BASH, "fish": _FISH}

_PLACES = {
    "bash": "echo 'eval \"$(chronos completion bash)\"' >> ~/.bashrc",
    "zsh": "echo 'eval \"$(chronos completion zsh)\"' >> ~/.zshrc",
    "fish": "chronos completion fish > ~/.config/fish/completions/chronos.fish",
}


@click.group(cls=ClientGroup, examples=list(_PLACES.values()))
def completion() -> None:
    """Write the script that makes a shell complete commands, options and job names."""


def _shell(name: str) -> click.Command:
    def write() -> None:
        click.echo(_OWN[name].lstrip() if name in _OWN else _source(name))

    return click.Command(name, callback=write, help=f"Write the script for {name}.")


def _source(shell: str) -> str:
    found = get_completion_class(shell)
    assert found is not None, shell
    root = click.get_current_context().find_root().command
    return found(root, {}, "chronos", _VARIABLE).source()


for _name in _PLACES:
    completion.add_command(_shell(_name))
