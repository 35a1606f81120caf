"""Memory of the app over an hour's worth of the engine's events, beside its memory after the first minute of them.

`python benchmarks/tui_memory.py`: a container dies every two seconds for an hour (1,800 of them, 40 listed at a
time, each with its cause), the checks run again every minute, a followed log writes 200 lines a second. Nothing waits.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "tui"))

MINUTES = 60
LINES = b"2026-11-24 10:00:00 INFO step 1234 loss 0.4321 tokens 123456 lr 1e-4\n" * 200


async def main() -> None:
    import conftest  # noqa: F401 - the environment of the pictures
    import recorded
    import scenes

    from doctor.live import CauseFound, ContainersListed
    from doctor.tui.app import DoctorApp
    from doctor.tui.log_text import LogText
    from doctor.tui.messages import EngineTold

    app = DoctorApp(lambda: recorded.Recorded(recorded.mismatch), ascii_only=False)
    log = LogText("container")
    while log.size < 12 << 20:
        log.append(LINES)
    async with app.run_test(size=(120, 40)) as pilot:
        await scenes.settle(app, pilot)
        used = []
        for minute in range(MINUTES):
            for n in range(30):
                newest = minute * 30 + n
                boxes = [
                    recorded.failed(f"job-{newest - k}", "acme/job:1", "exited", 1, k)
                    for k in range(min(40, newest + 1))
                ]
                app.screen.post_message(EngineTold(ContainersListed(tuple(boxes), newest)))
                app.screen.post_message(EngineTold(CauseFound(boxes[0].id, f"cause {newest}", "error")))
                for _ in range(2):
                    log.append(LINES)
            app.screen.action_again()
            await scenes.settle(app, pilot)
            gc.collect()
            used.append(psutil.Process().memory_info().rss)
    half = max(used[MINUTES // 2 :]) / used[MINUTES // 2]
    told = ", ".join(f"{minute} min {used[minute - 1] / 1e6:.0f} MB" for minute in (1, 10, 20, 30, 40, 50, 60))
    print(f"memory after {told}")
    print(f"memory, ratio of the second half's peak to its begin: {half:.3f}")


if __name__ == "__main__":
    asyncio.run(main())
