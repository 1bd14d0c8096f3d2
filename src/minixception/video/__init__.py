"""Films and cameras: reading, writing, and following faces from frame to frame.

    import dataclasses

    from minixception import FaceAnalyzer, draw_predictions
    from minixception.video.reader import VideoReader
    from minixception.video.tracking import FaceTracker
    from minixception.video.writer import VideoWriter

    analyzer, tracker = FaceAnalyzer(), FaceTracker()
    with VideoReader("film.mp4") as film, VideoWriter("copy.mp4", rate=film.rate) as copy:
        for frame in film:
            faces = tracker.update(analyzer.analyze(frame.image), frame.time_seconds)
            drawn = draw_predictions(frame.image, faces.values(), numbers=faces)
            copy.write(dataclasses.replace(frame, image=drawn))

Reader and writer need the extra `video`. `cameras.Camera("0")` takes the place of the reader.
"""
