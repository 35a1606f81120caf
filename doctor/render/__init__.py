"""The forms of a report. Each is a function of reports and of how text may look."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from doctor.render.appearance import Appearance
from doctor.report import Report

Renderer = Callable[[Sequence[Report], Appearance], str]


def _json(reports: Sequence[Report], appearance: Appearance) -> str:
    import json

    from doctor.report import to_json

    content = [to_json(report) for report in reports]
    return (
        json.dumps(content[0] if len(content) == 1 else content, ensure_ascii=not appearance.unicode, indent=2) + "\n"
    )


def _jsonl(reports: Sequence[Report], appearance: Appearance) -> str:
    import json

    from doctor.report import to_json

    return "".join(json.dumps(to_json(report), ensure_ascii=not appearance.unicode) + "\n" for report in reports)


def _text(reports: Sequence[Report], appearance: Appearance) -> str:
    from doctor.render.text import report_text

    return "\n".join(_image(report, appearance) + report_text(report, appearance) for report in reports)


def _image(report: Report, appearance: Appearance) -> str:
    if "image" not in report.extra:
        return ""
    from doctor.render.image import image_text

    return image_text(report.extra["image"], appearance)


def _markdown(reports: Sequence[Report], appearance: Appearance) -> str:
    from doctor.render.image import image_markdown
    from doctor.render.markdown import report_markdown

    images = (image_markdown(report.extra["image"]) if "image" in report.extra else "" for report in reports)
    return "\n".join(image + report_markdown(report) for image, report in zip(images, reports, strict=True))


def _sarif(reports: Sequence[Report], appearance: Appearance) -> str:
    from doctor.render.sarif import reports_sarif

    return reports_sarif(reports, appearance)


def _junit(reports: Sequence[Report], appearance: Appearance) -> str:
    from doctor.render.junit import reports_junit

    return reports_junit(reports, appearance)


def _html(reports: Sequence[Report], appearance: Appearance) -> str:
    from doctor.render.html import reports_html

    return reports_html(reports, appearance)


def _csv(reports: Sequence[Report], appearance: Appearance) -> str:
    from doctor.render.csv import reports_csv

    return reports_csv(reports, appearance)


RENDERERS: dict[str, Renderer] = {
    "text": _text,
    "json": _json,
    "jsonl": _jsonl,
    "markdown": _markdown,
    "sarif": _sarif,
    "junit": _junit,
    "html": _html,
    "csv": _csv,
}
