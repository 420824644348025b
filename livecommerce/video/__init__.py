"""Live pictures: from an encoder's bytes to what players fetch, and to a recording that outlives the process.

    bytes of a camera → ffmpeg (remux.py) → fragments (boxes.py) → recording on disk (recording.py)
        → segments and parts on a time line (timeline.py) → playlists (playlist.py) → players

Whoever publishes and whoever serves need not be one process: they meet on the disk. It knows shows by their id only.
"""
