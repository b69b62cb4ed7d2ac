"""A run on several machines, by dask.distributed: a head plans and keeps the ledger, workers compute and write blocks.

``address.py`` connects; ``order.py`` says in plain data what there is to do, so that a worker can make the same plan;
``worker.py`` runs there, on ``bench.py``, which stays warm, and ``block_writer.py`` writes whole chunks; ``window.py``
hands out a constant number of blocks; ``team.py`` knows which workers may take part; ``head.py`` is the run.
"""
