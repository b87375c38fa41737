"""The paper's experiment on one machine, every part of it as a process of its own."""
