"""The computer: child processes, memory, the cache folder, files of plain data, and numbers as text."""
