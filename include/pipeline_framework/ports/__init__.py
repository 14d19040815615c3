"""Define what the framework asks of the outside world: five Protocols and the values that cross them.

An adapter implements one of them and gets its client injected. It lets no error of its client library out: every
failure is an error of `include.pipeline_framework.errors`. Windows are half-open `[start, end)` UTC ranges everywhere;
the same `TimeWindow` object gives the source's range, the stage path, the target's delete and both counts.
"""
