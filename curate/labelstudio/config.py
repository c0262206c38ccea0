"""The Label Studio labeling configuration of a schema, and the annotators' instructions.

``label_configs/sahel.xml`` is the rendering of ``sahel.yaml``; :func:`parse_config` reads any
configuration back to its labels, so that a project made by hand, or under an older schema, can
be compared.  Both outputs are deterministic, and hold no word that is not in the schema.

What the attributes do was seen in Label Studio 1.23: ``hint`` is shown over a label, ``html``
is shown in its place, and ``alias`` must never be used for a translated name, since it is what
gets stored instead of ``value``.  Relations have no hint, no title and no argument types.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any
from xml.etree import ElementTree

from curate.errors import ConfigurationError
from curate.schema import EntityType, LabelSchema, RelationType

LABEL_CONTROL = "label"
"""``from_name`` of every region."""

CANONICAL_CONTROL = "canonical"
"""``from_name`` of the canonical name written to a region."""

REASON_CONTROL = "reason"
"""``from_name`` of a curator's reason, in the review project."""

TEXT_OBJECT = "text"
"""``to_name`` of every region."""

TEXT_KEY = "text"
"""The key of task data that holds the document's text."""

_STYLE = """
    .lsf-htx-richtext, .lsf-htx-richtext * { line-height: 3 !important; }
    .lsf-htx-richtext { font-size: 16px; max-width: 78ch; }
  """
# the canonical name of one mention: seen only while a mention is selected
_CANONICAL = {
    "name": CANONICAL_CONTROL,
    "toName": TEXT_OBJECT,
    "perRegion": "true",
    "maxSubmissions": "1",
    "rows": "1",
    "editable": "true",
    "placeholder": "=",
}
_CONTROLS = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]+")
_MAX_INSTRUCTIONS = 60_000
MAX_CONFIG = 1 << 20


# -- rendering


def render_config(schema: LabelSchema) -> str:
    """The labeling configuration as XML, UTF-8, ending in a line feed.

    Raises ConfigurationError for a name that Label Studio would take for a task's field.
    """
    for name in (*schema.entity_labels, *schema.relation_labels):
        if name.startswith("$"):
            raise ConfigurationError(
                f"the name {name!r} begins with $, which Label Studio takes for a field of the task"
            )
    lines = ["<View>", f"  <Style>{_STYLE}</Style>"]
    if schema.relations:
        lines.append('  <Relations choice="single">')
        lines += [f"    {_tag('Relation', {'value': r.name})}" for r in schema.relations]
        lines.append("  </Relations>")
    lines.append(
        '  <View style="position: sticky; top: -16px; z-index: 1000; padding: 20px 0 4px; '
        'background: var(--color-neutral-background, #fff)">'
    )
    # smart: where a backend asks to be asked, and an annotator turned « Auto-Annotation » on
    control = {"name": LABEL_CONTROL, "toName": TEXT_OBJECT, "smart": "true"}
    lines.append(f"    {_tag('Labels', control, close=False)}")
    lines += [f"      {_label(entity)}" for entity in schema.entities]
    lines += ["    </Labels>", "  </View>"]
    # symbols, not words: Label Studio's words swallow the article of « l'école »
    text = {"name": TEXT_OBJECT, "value": f"${TEXT_KEY}", "granularity": "symbol"}
    lines += [f"  {_tag('Text', text)}", f"  {_tag('TextArea', _CANONICAL)}", "</View>", ""]
    return "\n".join(lines)


def _label(entity: EntityType) -> str:
    attributes = {"value": entity.name, "background": entity.color.lower()}
    if entity.hotkey:
        attributes["hotkey"] = entity.hotkey
    if entity.title:
        attributes["html"] = f"{escape(entity.name)} <small>{escape(entity.title)}</small>"
    hint = _hint(entity)
    if hint:
        attributes["hint"] = hint
    return _tag("Label", attributes)


def _hint(entity: EntityType) -> str:
    return " · ".join(part for part in (entity.definition, *entity.examples[:1]) if part)


def _tag(tag: str, attributes: Mapping[str, str], *, close: bool = True) -> str:
    written = "".join(f" {key}={_quoted(value)}" for key, value in attributes.items())
    return f"<{tag}{written}{'/' if close else ''}>"


def _quoted(value: str) -> str:
    """An attribute's value on one line, without control characters, which XML has no place for."""
    flat = _CONTROLS.sub(" ", value).strip()
    return f'"{escape(flat, quote=False).replace(chr(34), "&quot;")}"'


# -- instructions


def render_instructions(schema: LabelSchema) -> str:
    """The project's instructions as HTML: rules, labels, relation types with legal arguments.

    It has no words of its own: whatever language the schema speaks, the page speaks.  Label
    Studio's window strips styles, numbers and margins: lines are numbered and spaced here.
    """
    parts = [f"<h2>{escape(schema.title or schema.name)}</h2>"]
    rules = [line.strip() for line in schema.instructions.splitlines() if line.strip()]
    parts += [f"<p>{number}. {escape(rule)}</p>" for number, rule in enumerate(rules, 1)]
    parts.append("<br>" if rules else "")
    parts += [_entity_block(entity) for entity in schema.entities]
    parts += [_relation_block(relation) for relation in schema.relations]
    html = "\n".join(part for part in parts if part) + "\n"
    if len(html) > _MAX_INSTRUCTIONS:
        raise ConfigurationError(
            f"the instructions made from the schema have {len(html)} characters; shorten its "
            f"definitions and examples to {_MAX_INSTRUCTIONS} together"
        )
    return html


def _entity_block(entity: EntityType) -> str:
    key = f" <kbd>[{escape(entity.hotkey)}]</kbd>" if entity.hotkey else ""
    return _block(_named(entity.name, entity.title) + key, "", entity.definition, entity.examples)


def _relation_block(relation: RelationType) -> str:
    return _block(
        _named(relation.name, relation.title),
        _legal(relation),
        relation.definition,
        relation.examples,
    )


def _named(name: str, title: str) -> str:
    return escape(f"{name} · {title}" if title else name)


def _legal(relation: RelationType) -> str:
    """The legal arguments, as «PER, MIL → ORG»; ↔ where the order carries no meaning."""
    arrow = "↔" if relation.symmetric else "→"
    if relation.same_label:
        both = [label for label in relation.head if label in relation.tail]
        return " | ".join(escape(f"{label} {arrow} {label}") for label in both)
    return escape(f"{', '.join(relation.head)} {arrow} {', '.join(relation.tail)}")


def _block(title: str, legal: str, definition: str, examples: Iterable[str]) -> str:
    lines = [f"<h3><b>{title}</b></h3>"]
    lines += [f"<p><b>{legal}</b></p>"] if legal else []
    lines += [f"<p>{escape(definition)}</p>"] if definition else []
    lines += [f"<p><i>– {_marked(example)}</i></p>" for example in examples]
    return "\n".join([*lines, "<br>"])


def _marked(example: str) -> str:
    """[Brackets] in an example are the mention: shown bold and kept."""
    return re.sub(r"\[([^\[\]]*)\]", r"[<b>\1</b>]", escape(example))


# -- reading back


@dataclass(frozen=True, slots=True)
class ParsedConfig:
    """What a configuration offers an annotator.

    ``entities`` and ``relations`` in its order; ``problems`` are what Label Studio lets pass and
    we do not: a label twice, no text, regions under other names than ours.
    """

    entities: tuple[str, ...]
    relations: tuple[str, ...]
    problems: tuple[str, ...] = ()
    attributes: Mapping[str, Mapping[str, str]] = field(default_factory=dict, hash=False)


def parse_config(xml: str) -> ParsedConfig:
    """Read a labeling configuration back to its labels.

    Raises ConfigurationError, with the line, for what is no XML or declares entities.
    """
    if "<!DOCTYPE" in xml or "<!ENTITY" in xml:
        raise ConfigurationError("a labeling configuration may not declare a DOCTYPE or entities")
    if len(xml) > MAX_CONFIG:
        raise ConfigurationError(f"a labeling configuration is not {len(xml) >> 20} MB long")
    try:
        root = ElementTree.fromstring(xml)
    except UnicodeEncodeError:
        raise ConfigurationError("the labeling configuration holds a lone surrogate") from None
    except ElementTree.ParseError as error:
        raise ConfigurationError(
            "the labeling configuration is no well-formed XML", line=error.position[0]
        ) from None
    entities, relations, problems = [], [], []
    attributes: dict[str, dict[str, str]] = {}
    controls = root.findall(".//Labels")
    texts = root.findall(".//Text")
    if len(controls) != 1 or controls[0].get("name") != LABEL_CONTROL:
        problems.append(f'it needs one <Labels name="{LABEL_CONTROL}">')
    if len(texts) != 1 or texts[0].get("name") != TEXT_OBJECT:
        problems.append(f'it needs one <Text name="{TEXT_OBJECT}">')
    elif texts[0].get("value") != f"${TEXT_KEY}":
        problems.append(f'<Text> must show value="${TEXT_KEY}"')
    for control in controls:
        if control.get("toName") != TEXT_OBJECT:
            problems.append(f'<Labels> must have toName="{TEXT_OBJECT}"')
        for label in control.iter("Label"):
            value = label.get("value", "")
            if label.get("alias"):
                problems.append(f"label {value} has an alias, which would be stored in its place")
            entities.append(value)
            attributes[value] = dict(label.attrib)
    for group in root.iter("Relations"):
        relations += [relation.get("value", "") for relation in group.iter("Relation")]
    for what, names in (("label", entities), ("relation", relations)):
        twice = sorted(name for name, times in Counter(names).items() if times > 1)
        problems += [f"{what} {name} stands twice" for name in twice]
        if "" in names:
            problems.append(f"a {what} has no value")
    return ParsedConfig(tuple(entities), tuple(relations), tuple(problems), attributes)


@dataclass(frozen=True, slots=True)
class ConfigDiff:
    """How a configuration differs from what a schema asks for.

    ``missing_*`` the schema has and the configuration lacks; ``extra_*`` the reverse;
    ``restyled`` labels have another colour, hotkey, hint or caption; ``rearranged`` relation types
    have other legal arguments (of schemas alone: Label Studio knows none); ``problems`` as in
    :class:`ParsedConfig`.
    """

    missing_entities: tuple[str, ...] = ()
    extra_entities: tuple[str, ...] = ()
    missing_relations: tuple[str, ...] = ()
    extra_relations: tuple[str, ...] = ()
    restyled: tuple[str, ...] = ()
    rearranged: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.changes_labels or self.restyled or self.rearranged or self.problems)

    @property
    def changes_labels(self) -> bool:
        return bool(
            self.missing_entities
            or self.extra_entities
            or self.missing_relations
            or self.extra_relations
        )


def diff_config(xml: str, schema: LabelSchema) -> ConfigDiff:
    """Compare a configuration (a file's, a project's) with a schema."""
    there = parse_config(xml)
    asked = parse_config(render_config(schema))
    return ConfigDiff(
        missing_entities=_without(asked.entities, there.entities),
        extra_entities=_without(there.entities, asked.entities),
        missing_relations=_without(asked.relations, there.relations),
        extra_relations=_without(there.relations, asked.relations),
        restyled=tuple(
            name
            for name in asked.entities
            if name in there.attributes and there.attributes[name] != asked.attributes[name]
        ),
        problems=there.problems,
    )


def _without(names: Iterable[str], others: Iterable[str]) -> tuple[str, ...]:
    gone = set(others)
    return tuple(dict.fromkeys(name for name in names if name not in gone))


@dataclass(frozen=True, slots=True)
class Orphans:
    """Labels in use that a schema lacks, with how often they are used."""

    entities: Mapping[str, int]
    relations: Mapping[str, int]

    def __bool__(self) -> bool:
        return bool(self.entities or self.relations)


def orphans(
    schema: LabelSchema, used_entities: Mapping[str, int], used_relations: Mapping[str, int]
) -> Orphans:
    """What would be orphaned if a project with these labels in use got this schema.

    Label Studio's own check does not count imported annotations or predictions, and PATCH does
    not ask it: look here first.
    """
    return Orphans(
        {n: used_entities[n] for n in sorted(used_entities) if not schema.has_entity(n)},
        {n: used_relations[n] for n in sorted(used_relations) if n not in schema.relation_labels},
    )


def used_labels(tasks: Iterable[Mapping[str, Any]]) -> tuple[Counter[str], Counter[str]]:
    """How often each entity label and relation type stands in annotations and predictions.

    ``tasks`` as ``/api/tasks?fields=all`` gives them; anything of another shape is passed over.
    """
    entities: Counter[str] = Counter()
    relations: Counter[str] = Counter()
    for task in tasks:
        for holder in (*_dicts(task.get("annotations")), *_dicts(task.get("predictions"))):
            for item in _dicts(holder.get("result")):
                if item.get("type") == "relation":
                    relations.update(_strings(item.get("labels")))
                elif item.get("type") == "labels" and isinstance(item.get("value"), dict):
                    entities.update(_strings(item["value"].get("labels")))
    return entities, relations


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _strings(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def diff_schemas(old: LabelSchema, new: LabelSchema) -> ConfigDiff:
    """What ``new`` asks for that ``old`` did not: as a configuration, and in legal arguments."""
    found = diff_config(render_config(old), new)
    before = {relation.name: relation for relation in old.relations}
    rearranged = tuple(
        relation.name
        for relation in new.relations
        if relation.name in before and _rule(before[relation.name]) != _rule(relation)
    )
    return replace(found, rearranged=rearranged)


def _rule(relation: RelationType) -> tuple[Any, ...]:
    return (set(relation.head), set(relation.tail), relation.symmetric, relation.same_label)
