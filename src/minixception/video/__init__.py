"""Films and cameras: reading, writing, and following faces from frame to frame.

    tracker = FaceTracker()
    with VideoReader("film.mp4") as film, VideoWriter("copy.mp4", rate=film.rate) as copy:
        for frame in film:
            faces = tracker.update(analyzer.analyze(frame.image), frame.time_seconds)
            drawn = draw_predictions(frame.image, faces.values(), numbers=faces)
            copy.write(dataclasses.replace(frame, image=drawn))

They are in `tracking`, `reader` and `writer`; the last two need the extra `video`.
"""
