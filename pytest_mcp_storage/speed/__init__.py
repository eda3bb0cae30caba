"""How fast stores are, side by side, and how each operation grows with the sessions of others.

- ``operations``: what is timed: create, get, update, list, remove, cleanup.
- ``subject``: one opened store with the sessions that the benchmark creates in it.
- ``timing``: times calls, by one caller or several.
- ``connects``: counts the connections that calls open.
- ``store``: one store with a separate event loop: opened, timed, filled, closed.
- ``run``: all stores in one run, in turns, within a number of seconds.
- ``result``: what was measured, as data.
- ``words``: what was measured, in words: growth, connections.
- ``console_table``: the result for the terminal.
- ``page``: the result as one HTML page.
- ``plot``: the growth as SVG.
"""
