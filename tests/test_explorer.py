"""The explorer in a real browser: values agree with Python, nothing is fetched, names are text, keys work."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported_models import MODELS, cp_model, exponential_model, smooth_factors, tucker_model

import inntd as it

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return headless Chromium, or skip where there is none."""
    found = os.environ.get("INNTD_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on the path, and INNTD_BROWSER names none")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Return a function that opens a model's page; errors of the page and any request but for itself fail the test."""
    contexts, faults = [], []

    def shown(model: Any, *, context: dict[str, Any] | None = None, **options: Any) -> Any:
        (file,) = model.export(tmp_path / "u.html", overwrite=True, **options)
        contexts.append(browser.new_context(**({"viewport": {"width": 1200, "height": 800}} | (context or {}))))
        page = contexts[-1].new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("dialog", lambda dialog: (faults.append("dialog"), dialog.dismiss()))
        page.on("request", lambda request: None if request.url == file.as_uri() else faults.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_selector("#canvas[data-low]")  # drawn
        return page

    yield shown
    for context in contexts:
        context.close()
    assert faults == []


def settle(page: Any) -> None:
    """Wait until what was changed is drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def put(page: Any, axis: int, value: float) -> None:
    """Move a slider as a hand does: its value, then the event."""
    page.evaluate(
        "([id, x]) => { const e = document.getElementById(id); e.value = x; e.dispatchEvent(new Event('input')); }",
        [f"axis{axis}", value],
    )


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("view", [1, 2])
def test_sliders_and_pointer_agree_with_python(make: Callable[[], Any], view: int, show: Callable[..., Any]) -> None:
    model = make()
    page = show(model)
    page.check(f"#view{view}")
    plotted = [0, 2][:view]  # x, y: the axes of space
    rng = np.random.default_rng(view)
    for _ in range(4):
        point = [float(rng.uniform(*axis.domain)) for axis in model.axes]
        point[6] = float(rng.integers(3))
        for d in set(range(7)) - set(plotted):
            put(page, d, point[d])
        settle(page)
        box = page.locator("#canvas").bounding_box()
        page.mouse.move(box["x"] + box["width"] * rng.uniform(0.3, 0.7), box["y"] + box["height"] * 0.4)
        settle(page)
        cursor = page.evaluate("state.cursor")
        for d, x in zip(plotted, cursor, strict=False):
            point[d] = x
        found = float(page.locator("#value").get_attribute("data-value"))
        assert found == pytest.approx(float(model(np.array([point]))), rel=1e-6)
        held, rest = page.evaluate("state.held"), [d for d in range(7) if d not in plotted]
        assert [held[d] for d in rest] == pytest.approx([point[d] for d in rest], rel=1e-12)


@pytest.mark.parametrize("make", [cp_model, tucker_model, exponential_model])
def test_curves_and_maps_agree_with_python_along_every_axis(make: Callable[[], Any], show: Callable[..., Any]) -> None:
    model = make()
    page = show(model)
    held = page.evaluate("state.held")
    names = [axis.name for axis in model.axes]
    for d in range(7):
        points, values = page.evaluate(
            f"(() => {{ const t = table({d}, 41); return [t.points, [...model.curve({d}, t.rows, state.held)]]; }})()"
        )
        given = {name: held[e] for e, name in enumerate(names)} | {names[d]: np.array(points)}
        assert np.allclose(values, model.grid(given).numpy(), rtol=1e-9, atol=1e-12)
    for d, e in [(0, 2), (2, 0), (1, 5), (6, 3), (4, 6)]:
        across, up, values = page.evaluate(
            f"(() => {{ const a = table({d}, 21), b = table({e}, 17);"
            f" return [a.points, b.points, [...model.map({d}, a.rows, {e}, b.rows, state.held)]]; }})()"
        )
        given = {name: held[k] for k, name in enumerate(names)}
        given |= {names[d]: np.array(across), names[e]: np.array(up)}
        found = np.array(values).reshape(len(up), len(across))
        wanted = model.grid(given).numpy()
        assert np.allclose(found, wanted.T if d < e else wanted, rtol=1e-9, atol=1e-12)


def test_the_picture_shows_what_the_model_says(show: Callable[..., Any]) -> None:
    """Pixels, not only numbers: brightness rises with u = x in the map, whatever the axes' order."""
    axes = [it.Axis("x", 0, 1, elements=8), it.Axis("y", 0, 1, elements=8)]
    model = it.CPModel.from_factors(axes, [axes[0].nodes[:, None], np.ones((9, 1))])
    page = show(model)
    pixel = """([i, j]) => { const c = picture.canvas, r = devicePixelRatio, { left, right, top, bottom } = picture.box;
      const p = picture.brush.getImageData(r * (left + i * (right - left)), r * (bottom - j * (bottom - top)), 1, 1);
      return p.data[0] + 2 * p.data[1]; }"""
    brightness = [page.evaluate(pixel, [i, 0.5]) for i in (0.1, 0.3, 0.5, 0.7, 0.9)]
    assert brightness == sorted(brightness)
    assert brightness[-1] > brightness[0] + 200
    assert page.evaluate(pixel, [0.3, 0.1]) == page.evaluate(pixel, [0.3, 0.9])
    page.select_option("#across", "1")  # the two change places
    settle(page)
    brightness = [page.evaluate(pixel, [0.5, j]) for j in (0.1, 0.5, 0.9)]
    assert brightness == sorted(brightness)


def test_the_map_of_a_hundred_modes_follows_in_real_time(show: Callable[..., Any]) -> None:
    """A frame is worked out in less than a thirtieth of a second; limits are generous, machines are busy."""
    axes = [it.Axis(f"x[{i}]", 0, 1, elements=30) for i in range(6)]
    model = it.CPModel.from_factors(axes, smooth_factors(axes, 100))
    page = show(model)
    page.check("#view2")
    settle(page)
    assert page.evaluate("[POINTS.map, table(0, POINTS.map).points.length]") == [200, 200]
    seconds = page.evaluate(
        """() => { const times = [];
        for (let k = 0; k < 30; ++k) { state.held[3] = k / 29; const began = performance.now(); draw();
          times.push((performance.now() - began) / 1000); }
        return times.sort((a, b) => a - b); }"""
    )
    assert seconds[0] < 1 / 30  # the fastest of thirty: what the work takes where nobody else is working


def test_names_and_titles_are_text_and_never_markup(show: Callable[..., Any]) -> None:
    evil = "</title></script><script>alert(1)</script><img src=x onerror=alert(2)>"
    x = it.Axis("x", 0, 1, elements=8, unit=evil)
    k = it.Axis("k", 0, 1, elements=8, unit=evil)
    model = it.CPModel.from_factors([x, k], smooth_factors([x, k], 2))
    model.metadata = {"title": evil, "problem": evil + "@DATA@ @SCRIPT@"}
    page = show(model, name=evil, indices={"x": 0.5})
    page.check("#view1")
    settle(page)
    assert page.locator("script").count() == 2  # the data and the page's own
    assert page.locator("img").count() == 0
    assert page.locator("#title").text_content() == evil
    assert page.title() == evil
    assert evil in page.locator("#about").text_content()
    assert evil in page.locator(".slider label").first.text_content()


def test_the_keyboard_reads_values_and_moves_sliders(show: Callable[..., Any]) -> None:
    model = cp_model()
    page = show(model)
    page.focus("#canvas")
    for key in ("ArrowRight", "Shift+ArrowUp"):
        page.keyboard.press(key)
    settle(page)
    assert page.evaluate("state.cursor") == pytest.approx([0.51, 0.8])
    point = page.evaluate("state.held")
    point[0], point[2] = page.evaluate("state.cursor")
    first = float(page.locator("#value").get_attribute("data-value"))
    assert first == pytest.approx(float(model(np.array([point]))), rel=1e-6)
    page.focus("#axis1")
    page.keyboard.press("End")
    settle(page)
    assert page.evaluate("state.held[1]") == 4
    assert float(page.locator("#value").get_attribute("data-value")) != first
    page.fill("#number1", "1.25")
    settle(page)
    assert page.evaluate("[state.held[1], document.getElementById('axis1').valueAsNumber]") == [1.25, 1.25]
    page.focus("#canvas")
    page.keyboard.press("Escape")
    settle(page)
    assert page.locator("#value").get_attribute("data-value") is None


def test_everything_has_a_name_for_screen_readers(show: Callable[..., Any]) -> None:
    page = show(cp_model(), indices={"x": (0.4, 0.6), "t": (0.2, 0.3)})
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('input, select, button, canvas')].filter((e) => !e.hidden
          && !(e.labels?.length || e.getAttribute('aria-label') || e.textContent.trim())).map((e) => e.outerHTML)"""
    )
    assert nameless == []
    assert page.locator("#canvas").get_attribute("aria-label").startswith("Map of u along x [m] and y, from ")
    assert page.locator("#axis1").get_attribute("aria-valuetext") == "2 s"
    page.locator("#live", has_text="Map of u along").wait_for(state="attached")
    assert page.locator("[role=listitem]").all_inner_texts() == [
        "x\n40.0 %, with others 60.0 %",
        "t\n20.0 %, with others 30.0 %",
    ]


def test_bars_are_absent_without_indices(show: Callable[..., Any]) -> None:
    assert not show(cp_model()).locator("#bars").is_visible()


def test_a_finger_reads_values_on_a_small_dark_screen(show: Callable[..., Any]) -> None:
    phone = {"viewport": {"width": 380, "height": 700}, "has_touch": True, "is_mobile": True, "color_scheme": "dark"}
    page = show(cp_model(), context=phone)
    box = page.locator("#canvas").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    settle(page)
    assert page.locator("#value").get_attribute("data-value") is not None
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(json.loads(dark.replace("rgb(", "[").replace(")", "]"))) < 64


def test_one_axis_is_a_curve_and_a_constant_has_a_scale(show: Callable[..., Any]) -> None:
    x = it.Axis("x", 0, 1, elements=8)
    page = show(it.CPModel.from_factors([x], [np.full((9, 1), 2.0)]))
    assert page.locator("#view2").is_disabled()
    assert page.evaluate("[picture.y.low < 2, picture.y.high > 2]") == [True, True]
    assert not page.locator("#reset").is_visible()


def test_a_held_scale_stays(show: Callable[..., Any]) -> None:
    page = show(cp_model())
    before = page.evaluate("state.scale")
    page.check("#hold")
    put(page, 1, 3.9)
    settle(page)
    assert page.evaluate("state.scale") == before
    page.uncheck("#hold")
    settle(page)
    assert page.evaluate("state.scale") != before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"along": ["x", "q"]}, r"along must name one or two of x, t, "),
        ({"along": []}, r"along must name one or two of x, t, "),
        ({"indices": {"q": 0.5}}, r"indices must name axes among .*, got 'q'"),
        ({"indices": {"x": float("nan")}}, r"indices of x must be a finite number"),
        ({"indices": {"x": (1, 2, 3)}}, r"indices of x must be one number or two, got 3"),
    ],
)
def test_mistakes_are_named(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        cp_model().export(tmp_path / "u.html", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_core_that_a_page_cannot_follow_is_refused(tmp_path: Path) -> None:
    axes = [it.Axis(f"x[{i}]", 0, 1, elements=16) for i in range(6)]
    model = it.TuckerModel(axes, [12] * 6)
    with pytest.raises(ValueError, match=r"the core has 2,985,984 entries.* round it first"):
        model.export(tmp_path / "u.html")
