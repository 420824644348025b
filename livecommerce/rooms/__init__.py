"""Who is here and who hears what.

`room`        one show in this process: decides without waiting, answers with what is to be done
`talk`        ticks and thinning: one rate per room, the same lines for everybody
`ring`        the recent events, for those who come back
`crowd`       how many are here, as a number
`moderation`  what may be said, before anybody hears it
`relay`       the one Redis connection that joins the processes (the only file here that waits)
"""
