"""What a task of a playbook costs on the controller, with our filters loaded once and once a task.

    python bench/playbooks.py [--tasks N]

Runs the same play of N tasks that do nothing but template, in turns with and without the callback
loaded_once, and prints the processor's time of both and their ratio.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROUNDS = 3
PLAY = """
- hosts: localhost
  gather_facts: false
  become: false
  connection: local
  tasks:
"""
TASK = """
    - ansible.builtin.debug:
        msg: "{{ [1, 2] | join(', ') }}"
"""


def seconds(play: Path, callbacks: str) -> float:
    """The processor's time of one run, the children's included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [Path(sys.executable).parent / "ansible-playbook", play],
        cwd=ROOT,
        env={**os.environ, "ANSIBLE_CALLBACKS_ENABLED": callbacks},
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=40)
    tasks = parser.parse_args().tasks
    with tempfile.TemporaryDirectory() as place:
        play = Path(place) / "play.yml"
        play.write_text(PLAY + TASK * tasks)
        # A callback that does nothing here stands for none: an empty list is not taken.
        found = [
            (seconds(play, "ansible.builtin.oneline"), seconds(play, "loaded_once"))
            for _ in range(ROUNDS)
        ]
    without, once = (min(one) for one in zip(*found, strict=True))
    print(f"{tasks} tasks, best of {ROUNDS}: {without:.1f} s a task's own loading, ", end="")
    print(f"{once:.1f} s loaded once: {without / once:.1f}x")


if __name__ == "__main__":
    main()
