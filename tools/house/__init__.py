"""The house's limits: what is counted of the structure, and how far each count may go.

`python -m tools.house` counts (`--root` another tree), `… walk` shows the way of a submission through a real server,
`… picture` draws the rooms from the imports. A test holds all limits (`tests/test_house.py`); `make check` those that
are read from the source alone.

What is said of `app/` holds for the Python client (`clients/python`) as well.

- **calls**: calls of a method of a name or attribute called `observer` or `tracer` (underscores aside), in `app/`
  outside `app/telemetry`. At most 45; 76 on 2d84426.
- **classes**: classes of `app/` with more than 25 methods. **modules**: modules of `app/` of more than 400 lines. None,
  but for those in `exceptions.toml`, each with a reason that stands in the module's docstring too.
- **constructors**: those a class writes itself (a record's fields are none) of more than 7 parameters. None, but for
  those in `exceptions.toml`.
- **names**: classes, and aliases of types, that two modules of `app/` define for others. None, but for those in
  `exceptions.toml`: a name has one meaning. What is generated from others' means what theirs do.
- **settings**: modules of `app/` outside `app/settings` of which something is handed all `Settings`, as a parameter or
  a field, and not the sections it needs. None, but for those in `exceptions.toml`.
- **pointers**: docstrings in `app/` that only say where to look ("See `Transport.start`."). The number may only fall.
- **walk**: the files of `app/` which a submission passes on its way from the bytes that came in to the bytes that go
  out: its event to all, its ack, its verdict. One ``submit_code``, whose id and code nobody else has, is sent to a real
  server (the lean transport, the log in memory, two players) that runs under a profiler. A file counts where one of
  its functions is handed something that carries that id or that code, as bytes, message, command, event, answer or
  frame, or returns it; what the game keeps (its state) is no longer the message. 19 on 2d84426.

The walk was to be 12 files, and is more than it was: `exceptions.toml` says of each file why it is on the way.
"""
