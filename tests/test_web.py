"""The page in a real browser: its answers are those of Python, and nothing leaves the machine.

`make test-web` builds the page and runs these; they skip where no Playwright or Chromium is.
"""

import base64
import csv
import io
import json
import random
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from minixception import Box, FaceAnalyzer, FacePrediction, MiniXceptionDetector
from minixception.boxes import intersection_over_union
from minixception.checkpoints.shipped import DEFAULT_EMOTION_MODEL, shipped_models
from minixception.images import decode_image, read_image, resize_image, rgb_to_bgr, write_image
from minixception.messages import csv_cell
from minixception.video.tracking import FaceTracker
from static_host import static_host
from systems import for_test_web

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

ROOT = Path(__file__).parents[1]
BUILT = ROOT / "web" / "dist"
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
PATIENCE = 60_000  # ms: the machine may be busy

pytestmark = [
    for_test_web,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with static_host(BUILT) as (address, _):
        yield address


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip in which three portraits move slowly to and fro, for ever."""
    picture = rgb_to_bgr(read_image(ROOT / "images" / "portraits.jpg"))
    picture = cv2.resize(picture, (560, 560 * picture.shape[0] // picture.shape[1]))
    path = tmp_path_factory.mktemp("film") / "film.mjpeg"
    with path.open("wb") as file:
        for number in range(40):
            frame = np.zeros((480, 640, 3), np.uint8)
            left, top = 10 + min(number, 40 - number), (480 - picture.shape[0]) // 2
            frame[top : top + picture.shape[0], left : left + 560] = picture[:, : 640 - left]
            file.write(cv2.imencode(".jpg", frame)[1].tobytes())
    return path


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        yield driver


@contextmanager
def chromium(driver: Any, *options: str) -> Iterator[Any]:
    browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *options])
    try:
        yield browser
    finally:
        browser.close()


def is_complaint(message: Any) -> bool:
    """LiteRT writes its remarks to the console as errors."""
    return message.type == "error" and not message.text.startswith(("INFO: ", "WARNING: "))


@contextmanager
def page_of(browser: Any, address: str, script: str = "", **options: Any) -> Iterator[Any]:
    """The page, loaded; whatever the browser complains about is an error."""
    context = browser.new_context(**{"locale": "en-GB", **options})
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.add_init_script(script)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda one: complaints.append(one.text) if is_complaint(one) else None)
    page.goto(address)
    ready = re.compile("Ready|Bereit")
    playwright.expect(page.locator("#status")).to_have_text(ready, timeout=PATIENCE)
    try:
        yield page
    finally:
        context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def browser(driver: Any) -> Iterator[Any]:
    with chromium(driver) as browser:
        yield browser


@pytest.fixture(scope="module")
def page(browser: Any, address: str) -> Iterator[Any]:
    with page_of(browser, address) as page:
        page.check("#gender")
        yield page


def until(page: Any, expression: str, argument: Any = None) -> None:
    """Wait for an expression to be true; Playwright's own way is stopped by the page's policy."""
    end = time.monotonic() + PATIENCE / 1000
    while not page.evaluate(expression, argument):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(50)


def open_picture(page: Any, path: Path, status: str = "found") -> None:
    page.evaluate("document.getElementById('status').textContent = ''")
    page.set_input_files("#file", path)
    until(page, f"document.getElementById('status').textContent.includes({status!r})")


def saved(page: Any, kind: str) -> str:
    with page.expect_download() as download:
        page.click(f"#save-{kind}")
    return Path(download.value.path()).read_text(encoding="utf-8")


def on_grey(image: np.ndarray, height: int, width: int, y: int, x: int) -> np.ndarray:
    canvas = np.full((height, width, 3), 90, np.uint8)
    part = image[max(-y, 0) :, max(-x, 0) :][: height - max(y, 0), : width - max(x, 0)]
    canvas[max(y, 0) :, max(x, 0) :][: part.shape[0], : part.shape[1]] = part
    return canvas


def resized(image: np.ndarray, factor: float) -> np.ndarray:
    return cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)


PICTURES: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "portraits.jpg": lambda portraits, astronaut, hopper: portraits,
    "lying.jpg": lambda portraits, astronaut, hopper: np.rot90(hopper),
    "on the other side.jpg": lambda portraits, astronaut, hopper: np.rot90(astronaut, -1),
    "tiny.png": lambda portraits, astronaut, hopper: resized(portraits, 0.18),
    "odd sizes.png": lambda portraits, astronaut, hopper: portraits[:-7, 5:-16],
    "large.jpg": lambda portraits, astronaut, hopper: cv2.resize(astronaut, (2400, 2400)),
    "tall.png": lambda portraits, astronaut, hopper: on_grey(astronaut, 1500, 700, 700, 60),
    "cut.png": lambda portraits, astronaut, hopper: on_grey(astronaut, 420, 420, -60, -150),
    "wide.jpg": lambda portraits, astronaut, hopper: on_grey(portraits, 1080, 1920, 400, 900),
    "dark.jpg": lambda portraits, astronaut, hopper: (hopper * 0.4).astype(np.uint8),
    "group.png": lambda portraits, astronaut, hopper: np.vstack([resized(portraits, 0.5)] * 3),
}


@pytest.fixture(scope="module")
def analyzer() -> FaceAnalyzer:
    return FaceAnalyzer(detector="mini_xception")


def compare(page: Any, path: Path, analyzer: FaceAnalyzer) -> None:
    """Let the page and Python analyze a picture with faces."""
    expected = [face.to_json() for face in analyzer.analyze(path)]
    assert expected
    open_picture(page, path)
    (faces,) = json.loads(saved(page, "json")).values()
    for face, other in zip(faces, expected, strict=True):
        assert list(face) == list(other)
        assert np.abs(np.subtract(face["box"], other["box"])).max() <= 2
        for task in ("emotion", "gender"):
            assert face[f"{task}_scores"] == pytest.approx(other[f"{task}_scores"], abs=0.01)


@pytest.mark.parametrize("name", PICTURES)
def test_answers_are_those_of_python(
    page: Any, name: str, analyzer: FaceAnalyzer, tmp_path: Path
) -> None:
    images = [
        read_image(ROOT / "images" / f"{each}.jpg")
        for each in ("portraits", "astronaut", "grace_hopper")
    ]
    write_image(tmp_path / name, np.ascontiguousarray(PICTURES[name](*images)))
    compare(page, tmp_path / name, analyzer)


def test_a_turned_and_a_transparent_picture_are_read_as_python_reads_them(
    page: Any, analyzer: FaceAnalyzer, portraits: Path, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(portraits) as picture:
        picture.rotate(90, expand=True).save(tmp_path / "turned.jpg", exif=exif, quality=95)
        clear = picture.convert("RGBA")
        clear.putalpha(200)
        clear.save(tmp_path / "clear.png")
    for name in ("turned.jpg", "clear.png"):
        compare(page, tmp_path / name, analyzer)


def test_faces_are_told_with_labels_and_bars_and_as_a_table(
    page: Any, analyzer: FaceAnalyzer, portraits: Path
) -> None:
    open_picture(page, portraits)
    titles = page.locator("#results h2").all_inner_texts()
    assert len(titles) == 3
    assert titles[0].startswith("Face 1: happy ")
    assert "woman" in titles[0] or "man" in titles[0]
    assert page.locator("#results .bar").count() == 3 * 7
    assert page.get_by_role("img", name="Faces in the picture: happy").count() == 1
    rows = list(csv.DictReader(io.StringIO(saved(page, "csv"))))
    assert list(rows[0]) == ["picture", "faces", "error", *analyzer.columns]
    assert [row["emotion"] for row in rows] == [
        face.emotion for face in analyzer.analyze(portraits)
    ]
    page.uncheck("#gender")
    until(page, "!document.querySelector('#results h2').textContent.includes('man')")
    page.check("#gender")


def test_every_shipped_emotion_model_can_be_chosen(page: Any, portraits: Path) -> None:
    open_picture(page, portraits)
    for name in shipped_models("emotion"):
        page.select_option("#emotion-model", name)
        until(page, f"document.getElementById('card').textContent.includes({name!r})")
        expected = FaceAnalyzer(emotion=name, gender=None, detector="mini_xception")
        found = [face.emotion for face in expected.analyze(portraits)]
        until(
            page,
            "names => names.every((name, i) => "
            "document.querySelectorAll('#results h2')[i].textContent.includes(` ${name} `))",
            found,
        )
        colours = "[...document.querySelectorAll('.bar span')].map((bar) => bar.style.cssText)"
        assert all("rgb" in style for style in page.evaluate(colours))
    page.select_option("#emotion-model", DEFAULT_EMOTION_MODEL)


def test_no_face_and_no_picture_are_told(
    page: Any, analyzer: FaceAnalyzer, portraits: Path, tmp_path: Path
) -> None:
    write_image(tmp_path / "grey.png", np.full((300, 400, 3), 128, np.uint8))
    open_picture(page, tmp_path / "grey.png", "No face found")
    assert page.locator("#results article").count() == 0
    assert json.loads(saved(page, "json")) == {"grey.png": []}
    header, nobody = csv.reader(io.StringIO(saved(page, "csv")))
    assert header == ["picture", "faces", "error", *analyzer.columns]
    assert nobody == ["grey.png", "0", *[""] * (len(header) - 2)]
    (tmp_path / "text.jpg").write_text("no picture")
    open_picture(page, tmp_path / "text.jpg", "Ready")
    playwright.expect(page.locator("#problem")).to_contain_text("text.jpg is not a picture")
    assert json.loads(saved(page, "json")) == {"grey.png": []}  # what is shown, still
    open_picture(page, portraits)
    playwright.expect(page.locator("#problem")).to_have_text("")


def test_pictures_can_be_dropped_and_pasted(page: Any, portraits: Path) -> None:
    give = """([kind, ...files]) => {
        const data = new DataTransfer();
        for (const [name, content] of files) {
            const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
            data.items.add(new File([bytes], name, { type: "image/jpeg" }));
        }
        const made = kind === "drop"
            ? new DragEvent("drop", { dataTransfer: data, bubbles: true })
            : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
        document.getElementById("stage").dispatchEvent(made);
    }"""
    content = base64.b64encode(portraits.read_bytes()).decode()
    for kind in ("drop", "paste"):
        page.evaluate(give, [kind, [f"{kind}.jpg", content]])
        until(page, "document.getElementById('status').textContent.startsWith('3 faces')")
        assert list(json.loads(saved(page, "json"))) == [f"{kind}.jpg"]
    page.evaluate(give, ["drop", ["a.jpg", content], ["b.jpg", content]])
    playwright.expect(page.locator("#problem")).to_contain_text("The other files were ignored")
    large = io.BytesIO()
    Image.new("L", (6000, 4000)).save(large, format="PNG")
    slow = base64.b64encode(large.getvalue()).decode()
    page.evaluate(give, ["drop", ["slow.jpg", slow]])
    page.evaluate(give, ["drop", ["=1+1.jpg", content]])
    until(page, "document.getElementById('status').textContent.startsWith('3 faces')")
    page.wait_for_timeout(1000)
    assert list(json.loads(saved(page, "json"))) == ["=1+1.jpg"]  # the last one, not the slowest
    rows = list(csv.DictReader(io.StringIO(saved(page, "csv"))))
    assert {row["picture"] for row in rows} == {csv_cell("=1+1.jpg")}


def test_a_model_that_cannot_be_loaded_can_be_left(
    browser: Any, address: str, portraits: Path
) -> None:
    with browser.new_context(locale="en-GB", service_workers="block") as context:
        page = context.new_page()
        page.route("**/fer2013_mini_xception_wide.tflite", lambda route: route.abort())
        page.goto(address)
        until(page, "document.getElementById('status').textContent === 'Ready.'")
        open_picture(page, portraits)
        page.select_option("#emotion-model", "fer2013_mini_xception_wide")
        playwright.expect(page.locator("#problem")).to_contain_text("could not be loaded")
        assert page.locator("#status").inner_text() == "Ready."
        page.select_option("#emotion-model", DEFAULT_EMOTION_MODEL)
        until(page, "document.getElementById('status').textContent.startsWith('3 faces')")
        playwright.expect(page.locator("#problem")).to_have_text("")


def test_a_picture_may_be_opened_before_the_models_are_there(
    browser: Any, address: str, portraits: Path
) -> None:
    with browser.new_context(locale="en-GB") as context:
        page = context.new_page()
        page.goto(address)
        page.set_input_files("#file", portraits)
        until(page, "document.getElementById('status').textContent.includes('3 faces found')")


def test_the_keyboard_reaches_everything(page: Any, portraits: Path) -> None:
    open_picture(page, portraits)
    page.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    wanted = {"language", "open", "camera", "emotion-model", "gender", "save-json", "save-csv"}
    assert wanted | {"SUMMARY"} <= reached


def in_node(code: str) -> Any:
    command = ["node", "--input-type=module", "--eval", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("cubic", [False, True])
def test_pixels_are_resized_as_python_resizes_them(channels: int, cubic: bool) -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 64, channels), np.uint8)
    picture = {"data": image.ravel().tolist(), "width": 64, "height": 48, "channels": channels}
    sizes = [(24, 32), (16, 22), (12, 64), (15, 25), (65, 75)]
    answers = in_node(f"""
        import {{ resize }} from {json.dumps((ROOT / "web/src/pixels.js").as_uri())};
        const resized = (size) => resize({json.dumps(picture)}, ...size, {json.dumps(cubic)}).data;
        console.log(JSON.stringify({json.dumps(sizes)}.map((size) => [...resized(size)])));
    """)
    for size, answer in zip(sizes, answers, strict=True):
        difference = np.abs(resize_image(image, size, cubic=cubic).ravel().astype(int) - answer)
        assert difference.max() <= 1
        assert (difference > 0).mean() < (0.05 if cubic else 0.01)


def test_a_size_is_compiled_once_and_the_least_used_one_is_given_back() -> None:
    answer = in_node(f"""
        import {{ Detector }} from {json.dumps((ROOT / "web/src/detector.js").as_uri())};
        let [made, deleted] = [0, 0];
        const compile = async () => {{
            made += 1;
            return {{ delete: () => {{ deleted += 1; }} }};
        }};
        const rules = {{ score_threshold: 0.6, surest: 0.9, places_of_sizes: [] }};
        const detector = new Detector({{}}, rules, Promise.resolve(new Uint8Array(8)), compile);
        await Promise.all([1, 1, 2, 2].map((side) => detector.modelFor([side, side], false)));
        const before = [made, deleted];
        for (const side of [3, 1, 4, 5, 6, 7, 8, 9]) await detector.modelFor([side, side], false);
        await detector.modelFor([1, 1], false);
        console.log(JSON.stringify([...before, made, deleted]));
    """)
    assert answer == [2, 0, 9, 1]


def test_a_timeline_goes_on_when_a_model_with_other_classes_is_chosen() -> None:
    answer = in_node(f"""
        import {{ drawTimeline }} from {json.dumps((ROOT / "web/src/drawing.js").as_uri())};
        globalThis.window = {{}};
        const places = [];
        const note = (x, y) => places.push([x, y]);
        const context = {{ beginPath() {{}}, stroke() {{}}, moveTo: note, lineTo: note }};
        const canvas = {{ clientWidth: 300, clientHeight: 104, getContext: () => context }};
        const history = [{{ happy: 1 }}, {{ happiness: 0, neutral: 1 }}].map((scores, seconds) => {{
            return {{ seconds, scores }};
        }});
        drawTimeline(canvas, history, 30, {{}});
        console.log(JSON.stringify(places));
    """)
    assert answer == [[0, 2], [pytest.approx(10), 102], [pytest.approx(10), 2]]


@pytest.mark.parametrize(("width", "height"), [(1000, 700), (100, 70), (2000, 800)])
def test_a_label_covers_neither_faces_nor_other_labels(width: int, height: int) -> None:
    places = [(0.2, 0.2), (0.3, 0.45), (0.43, 0.4), (0.52, 0.5), (0.66, 0.48)]  # as a group stands
    side = 0.2 * height
    faces: list[dict[str, Any]] = [
        {
            "box": {"x": x * width, "y": y * height, "width": side, "height": side},
            "scores": {"emotion": {"happy": 1}, "gender": {"woman": 1}},
        }
        for x, y in places
    ]
    answer = in_node(f"""
        import {{ drawFaces }} from {json.dumps((ROOT / "web/src/drawing.js").as_uri())};
        globalThis.document = {{ documentElement: {{ lang: "en" }} }};
        const plates = [];
        const context = {{
            drawImage() {{}}, strokeRect() {{}}, fillText() {{}},
            fillRect: (...sides) => plates.push(sides),
            measureText: (text) => ({{ width: text.length * context.font.split(/[ p]/)[1] / 2 }}),
        }};
        const canvas = {{ getContext: () => context }};
        drawFaces(canvas, {{ width: {width}, height: {height} }}, {json.dumps(faces)}, {{}});
        console.log(JSON.stringify([canvas.width, canvas.height, plates]));
    """)
    *shown, plates = answer
    assert max(shown) >= 640
    scale = shown[0] / width
    taken = [np.multiply(list(face["box"].values()), scale) for face in faces]
    for x, y, wide, tall in plates:
        assert 0 <= x <= shown[0] - wide
        assert 0 <= y <= shown[1] - tall
        for left, top, far, deep in taken:
            across = min(x + wide, left + far) - max(x, left)
            down = min(y + tall, top + deep) - max(y, top)
            assert min(across, down) < 1
        taken.append(np.array([x, y, wide, tall]))
    assert len(taken) == 2 * len(faces)


def test_faces_are_followed_as_python_follows_them() -> None:
    dice = random.Random(0)
    frames: list[tuple[float, list[Any]]] = []
    places = [[dice.randrange(500), dice.randrange(300)] for _ in range(4)]
    seconds = 0.0
    for _ in range(60):
        seconds += dice.choice((0.03, 0.06, 0.4))
        faces: list[Any] = []
        for place in places:
            place[0] += dice.randrange(-12, 14)
            if dice.random() < 0.8:
                share = dice.random()
                scores = {"emotion": {"happy": share, "sad": 1 - share}, "gender": {}}
                box = {"x": place[0], "y": place[1], "width": 90, "height": 95}
                faces.append({"box": box, "scores": scores})
        frames.append((seconds, faces))
    rules = json.loads((BUILT / "models" / "rules.json").read_text())["tracking"]
    answer = in_node(f"""
        import {{ Tracker }} from {json.dumps((ROOT / "web/src/tracker.js").as_uri())};
        const tracker = new Tracker({json.dumps(rules)});
        const frames = {json.dumps(frames)};
        const found = frames.map(([seconds, faces]) => tracker.update(faces, seconds));
        console.log(JSON.stringify(found));
    """)
    tracker = FaceTracker()
    for (time_seconds, faces), found in zip(frames, answer, strict=True):
        given = [FacePrediction(Box(**face["box"]), face["scores"]) for face in faces]
        tracked = tracker.update(given, time_seconds).items()
        for face, (number, other) in zip(found, tracked, strict=True):
            assert face["track"] == number
            assert face["scores"]["emotion"] == pytest.approx(other.emotion_scores)


def test_it_speaks_german(browser: Any, address: str, portraits: Path) -> None:
    with page_of(browser, address, locale="de-DE") as page:
        assert page.get_by_role("img", name="Bild").count() == 1  # also before there is one
        assert re.search(r"\d,\d\s%", page.locator("#card").text_content())
        open_picture(page, portraits, "Gesichter gefunden")
        assert page.locator("#results h2").first.inner_text().startswith("Gesicht 1: fröhlich")
        assert page.evaluate("document.documentElement.lang") == "de"
        page.select_option("#language", "en")
        assert page.locator("#status").inner_text() == "3 faces found."


def camera_of(film: Path) -> list[str]:
    return [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ]


def test_the_camera_is_followed(driver: Any, address: str, film: Path) -> None:
    with chromium(driver, *camera_of(film)) as browser, page_of(browser, address) as page:
        page.click("#camera")
        until(page, "document.querySelectorAll('#timelines canvas').length >= 3")
        until(page, "document.getElementById('rate').textContent.includes('frames')")
        page.wait_for_timeout(3000)
        assert page.locator("#timelines canvas").first.get_attribute("aria-label").endswith("happy")
        page.set_viewport_size({"width": 320, "height": 640})
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        page.click("#camera")
        playwright.expect(page.locator("#status")).to_have_text("The camera is off.")
        rows = json.loads(saved(page, "json"))
        tracks = {row["track"] for row in rows[-3:]}
        assert tracks <= {1, 2, 3}  # the same persons from the first frame to the last
        for row in rows:
            assert sum(row["emotion_scores"].values()) == pytest.approx(1, abs=1e-3)


def test_a_graphics_processor_finds_the_same_faces(driver: Any, address: str, film: Path) -> None:
    """Chromium's imitation of one, which the page would not use by itself."""
    options = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", *camera_of(film)]
    pretend = "Object.defineProperty(GPUAdapterInfo.prototype, 'isFallbackAdapter', {value: false})"
    with chromium(driver, *options) as browser, page_of(browser, address, pretend) as page:
        page.click("#camera")
        until(page, "document.getElementById('rate').textContent.includes('WebGPU')")
        page.click("#camera")
        status = page.locator("#status")  # the imitation takes seconds for a frame on busy cores
        playwright.expect(status).to_have_text("The camera is off.", timeout=30_000)
        rows = json.loads(saved(page, "json"))
    boxes = {tuple(row["box"]) for row in rows if row["track"] == 1}
    jpeg = film.read_bytes().split(b"\xff\xd9")[0] + b"\xff\xd9"
    detector = MiniXceptionDetector(working_size=640)
    expected = detector.detect(decode_image(jpeg, "first frame"))[0]
    assert boxes
    for box in boxes:  # the film goes to the right, and back
        assert intersection_over_union(Box(*box)._replace(x=expected.x), expected) > 0.8


def test_without_a_camera_or_permission_the_page_says_so(driver: Any, address: str) -> None:
    granted = "--use-fake-ui-for-media-stream"
    with chromium(driver, granted) as browser, page_of(browser, address) as page:
        page.click("#camera")
        playwright.expect(page.locator("#problem")).to_contain_text("No camera was found")
    denied = ("--use-fake-device-for-media-stream", "--deny-permission-prompts")
    with chromium(driver, *denied) as browser, page_of(browser, address) as page:
        page.click("#camera")
        problem = playwright.expect(page.locator("#problem"))
        problem.to_contain_text("does not allow this page to use the camera")


def test_it_asks_for_nothing_but_its_own_files_and_keeps_nothing(
    browser: Any, portraits: Path
) -> None:
    with static_host(BUILT) as (address, server), browser.new_context(locale="en-GB") as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        asked: list[str] = []
        context.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        page.wait_for_selector("html[data-offline=ready]")
        open_picture(page, portraits)
        assert asked
        assert all(url.startswith((address, f"blob:{address}")) for url in asked), asked
        assert context.cookies() == []
        kept = page.evaluate(
            "async () => { const found = []; for (const name of await caches.keys()) "
            "for (const one of await (await caches.open(name)).keys()) found.push(one.url);"
            "return [found, localStorage.length, (await indexedDB.databases()).length]; }"
        )
        files = {address + path.relative_to(BUILT).as_posix() for path in BUILT.rglob("*.*")}
        assert set(kept[0]) <= files | {address}
        assert kept[1:] == [0, 0]
        refused = page.evaluate(
            "fetch('https://example.org/').then(() => 'sent', (error) => error.name)"
        )
        assert refused == "TypeError"  # by the policy: it is not even asked for
        server.shutdown()
        server.server_close()
        page.reload()
        page.wait_for_selector("#card dl", state="attached")
        open_picture(page, portraits)
        assert page.locator("#results article").count() == 3
