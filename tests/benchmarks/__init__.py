"""How fast blockingio is beside others, in one run: `make bench`, or `python -m tests.benchmarks --help`.

Nothing here is a test: figures depend on the machine, so they are printed and not asserted.

    __main__     the command line, and the order of the sections
    rows         what servers are asked for, in groups: processor time for a request, and requests a second
    latency      the same requests by 64 connections: within which time nearly all are answered
    message      a request of the load: its bytes
    answer       what an answer costs the handler's thread
    client       GET, POST and GET by TLS by keep-alive, and a download of 64 MiB
    files        a file of 64 MiB, small ones by keep-alive, and what the command serves with its log on
    memory       what an idle connection costs, and what thousands of them leave for busy ones
    imports      what the import costs
    contender    a contender's process: started, asked for its port, always ended
    load         the load: wrk where it is installed, else a generator of our own
    report       rounds in turn, medians and tables
    contenders/  a script for each contender, by what it does (apps, files, request, download)
"""
