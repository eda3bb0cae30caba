"""Sequences in which every operation follows every other.

- ``run``: run the planned sequences once for a store; what each clause's test reports of them.
- ``player``: play one run, step by step.
- ``faulty``: the steps whose call is cancelled, not answered, or made in an outage.
- ``reads``: compare what the reads return with the model.
- ``values``: what each step writes.
- ``handles``: the handles of all runs.
- ``storage``: what is stored after a run.
- ``violations``: which clause a wrong answer breaks.
"""
