"""Label Studio's labelling screen, as an annotator uses it: real clicks, drags and keys.

Selectors were found in Label Studio 1.23; everything that knows them is in this file.
"""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

_WAIT_MS = 30_000

# the ends of the nth occurrence of a text on screen; line breaks are elements there, not text
_RANGE = """([wanted, nth]) => {
  // the last one is the text: a review task shows the points of disagreement above it
  const shown = [...document.querySelectorAll('.lsf-htx-richtext')].filter(e => e.offsetParent);
  const root = shown.pop();
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const nodes = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) nodes.push(node);
  const text = nodes.map(node => node.data).join('');
  let start = -1;
  for (let i = 0; i <= nth; i++) start = text.indexOf(wanted, start + 1);
  if (start < 0) return null;
  const place = (at, last) => {
    for (const node of nodes) {
      if (at < node.length || (last && at === node.length)) return [node, at];
      at -= node.length;
    }
  };
  const range = document.createRange();
  range.setStart(...place(start, false));
  range.setEnd(...place(start + wanted.length, true));
  range.startContainer.parentElement.scrollIntoView({block: 'center'});
  const boxes = [...range.getClientRects()];
  const first = boxes[0], last = boxes[boxes.length - 1];
  return {text: range.toString(), x0: first.left, y0: first.top + first.height / 2,
          x1: last.right, y1: last.top + last.height / 2};
}"""


def log_in(page: Page, url: str, email: str, password: str) -> None:
    """Log in by the form, as a person does."""
    page.goto(f"{url}/user/login/")
    page.locator("#email").fill(email)
    page.locator("#password").fill(password)
    page.get_by_role("button", name="Log In").click()
    page.wait_for_url(re.compile(r"^(?!.*/user/login).*$"))


class LabellingScreen:
    """One task, open for annotation.  Mentions are named by the text they cover."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url

    def open(self, project_id: int, task_id: int) -> None:
        """Open a task from the project's list."""
        self.page.goto(f"{self.url}/projects/{project_id}/data?task={task_id}")
        expect(self._label_buttons.first).to_be_visible(timeout=_WAIT_MS)
        expect(self.page.locator(".lsf-htx-richtext:visible").last).not_to_be_empty()

    @property
    def labels(self) -> list[str]:
        """What stands on the label buttons."""
        return [" ".join(text.split()) for text in self._label_buttons.all_inner_texts()]

    @property
    def regions(self) -> int:
        """How many regions the side list holds."""
        self._side("Regions")
        return self.page.locator(".lsf-tree__node:visible, .lsf-outliner-item:visible").count()

    def hint_of(self, label: str) -> str:
        """The hint shown over a label button."""
        self._label(label).hover()
        tip = self.page.locator("[data-testid=tooltip], [role=tooltip], .lsf-tooltip")
        expect(tip.first).to_be_visible()
        return " ".join(tip.first.inner_text().split())

    def select(self, mention: str) -> None:
        """Click a mention, so that it is the selected one."""
        self._mention(mention).click()
        expect(self.page.get_by_label("Delete selected region")).to_be_visible()

    def change_label(self, mention: str, label: str) -> None:
        """Give a mention another label."""
        self.select(mention)
        self._label(label).click()
        self._unselect()

    def delete(self, mention: str) -> None:
        """Delete a mention, and with it its relations."""
        self.select(mention)
        self.page.get_by_label("Delete selected region").click()
        expect(self._mention(mention)).to_have_count(0)
        self._unselect()  # with « Auto-Annotation » on, the region that is gone stays selected

    def add(self, mention: str, label: str, *, nth: int = 0) -> None:
        """Mark the ``nth`` place where the text says ``mention``: choose a label and drag."""
        self._label(label).click()
        box: dict[str, Any] | None = self.page.evaluate(_RANGE, [mention, nth])
        assert box is not None
        assert box["text"] == mention
        mouse = self.page.mouse
        mouse.move(box["x0"] + 0.5, box["y0"])
        mouse.down()
        mouse.move((box["x0"] + box["x1"]) / 2, box["y1"], steps=4)
        mouse.move(box["x1"] - 0.5, box["y1"], steps=4)
        mouse.up()
        expect(self._mention(mention).first).to_be_visible()
        self._unselect()

    def relate(self, head: str, tail: str, label: str) -> None:
        """Draw a relation from one mention to another and name it."""
        self._side("Relations")
        before = self._relations.count()
        self.select(head)
        self.page.get_by_label("Create Relation").click()
        self._mention(tail).click()
        expect(self._relations).to_have_count(before + 1)
        self._side("Relations")
        row = self._relations.last
        row.hover()
        chooser = self.page.locator(".lsf-relation-meta:visible")
        if chooser.count() == 0:
            row.get_by_label("Show Relation Labels").click()
        chooser.get_by_test_id("select-trigger").click()
        self.page.get_by_role("option", name=label, exact=True).click()
        expect(row.get_by_role("button", name=label, exact=True)).to_be_attached()

    def ask_the_model(self) -> None:
        """Turn « Auto-Annotation » on: each region that is drawn is shown to the model."""
        self.page.get_by_test_id("bottombar-auto-annotation-toggle").click(force=True)

    @property
    def versions(self) -> list[str]:
        """The tabs above the task: one's own annotation and each prediction."""
        tabs = self.page.locator(".lsf-annotation-button__name")
        return [" ".join(text.split()) for text in tabs.all_inner_texts()]

    @property
    def marked(self) -> list[str]:
        """The marked stretches of the text, in its order."""
        return self.page.locator(".htx-highlight:visible").all_inner_texts()

    @property
    def points(self) -> str:
        """What stands above the text of a review task."""
        return " ".join(self.page.locator(".curate-points").inner_text().split())

    def look_at(self, version: str) -> None:
        """Show a prediction, as it stands."""
        self._tab(version).click()
        expect(self._tab(version)).to_have_class(re.compile("_selected"))

    def take(self, version: str) -> None:
        """Start one's own annotation from a prediction."""
        self.look_at(version)
        before = self.page.locator(".lsf-annotation-button").count()
        self._tab(version).locator(".lsf-annotation-button__trigger").click()
        self.page.get_by_text("Duplicate Annotation").click()
        expect(self.page.locator(".lsf-annotation-button")).to_have_count(before + 1)
        expect(self.page.get_by_test_id("bottombar-submit-button")).to_be_visible()

    def submit(self) -> dict[str, Any]:
        """Submit; the annotation as the server stored it."""
        button = self.page.get_by_test_id("bottombar-submit-button")
        with self.page.expect_response(
            lambda answer: "/annotations" in answer.url and answer.request.method == "POST"
        ) as caught:
            button.click()
        assert caught.value.ok, caught.value.status
        stored: dict[str, Any] = caught.value.json()
        return stored

    # -- below

    @property
    def _label_buttons(self) -> Locator:
        return self.page.locator(".lsf-labels .lsf-label:visible")

    @property
    def _relations(self) -> Locator:
        return self.page.locator(".lsf-relations__item")

    def _tab(self, version: str) -> Locator:
        return self.page.locator(".lsf-annotation-button").filter(
            has=self.page.locator(".lsf-annotation-button__name", has_text=version)
        )

    def _label(self, label: str) -> Locator:
        return self._label_buttons.filter(has_text=re.compile(rf"^{re.escape(label)}\b")).first

    def _mention(self, mention: str) -> Locator:
        exact = re.compile(rf"^\s*{re.escape(mention)}\s*$")
        return self.page.locator(".htx-highlight:visible").filter(has_text=exact)

    def _side(self, name: str) -> None:
        self.page.locator(".lsf-panel-tabs__tab:visible", has_text=name).click()

    def _unselect(self) -> None:
        self.page.keyboard.press("u")
        if self.page.get_by_label("Delete selected region").count():
            self.page.keyboard.press("Escape")
