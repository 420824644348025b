"""The crowd: who comes when, who says what, who taps and pays, as arithmetic over a seed.

What arrives: parameters and a seed. What leaves: instants in seconds, choices, lines of chat, a rundown with times. It
reads no clock, opens nothing and knows neither generators nor conductor, so that anything can play it: the load tester
does, a rehearsal in a console can. The same seed gives the same evening.

    parameters.py   what a crowd is like: defaults, each with where it comes from
    arrivals.py     when something happens: even, Poisson, in stages; shared over generators
    behaviour.py    what a viewer does: reaction, what becomes of a hold, who speaks, how long she stays
    talk.py         what is said, in English, French and Chinese
    rundown.py      a show's own rundown as timed actions of its host
"""
