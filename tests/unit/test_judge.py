"""Laws of the judge: what a rule decides, what goes to a person, what a pin settles."""

from __future__ import annotations

from benchmarks.consensus import BAD, GOOD, team
from curate.agreement.consensus import Rule
from curate.gold.judge import Judge
from curate.model import Annotation, Entity, Source
from curate.schema import EntityType, LabelSchema

SCHEMA = LabelSchema(name="t", entities=(EntityType("PER"), EntityType("ORG")))
A, B = Entity(0, 5, "PER"), Entity(10, 15, "ORG")


def said(name: str, *entities: Entity) -> Annotation:
    return Annotation.of("d", entities, (), Source.annotator(name))


THREE = [said("x", A, B), said("y", A, B), said("z", A)]


def test_a_rule_decides_what_it_can_and_names_itself() -> None:
    """Two of three: decided by majority, open under unanimity."""
    by_majority = Judge(SCHEMA, rule=Rule.parse("majority"))(THREE)
    assert (len(by_majority.annotation.entities), by_majority.open) == (2, 0)
    assert by_majority.annotation.source == Source.consensus("majority")
    assert Judge(SCHEMA)(THREE).open == 1


def test_where_a_person_must_decide_no_rule_does() -> None:
    """Test and blind documents: only what all say is taken, whatever the rule."""
    for name in ("unanimous", "majority", "weighted"):
        verdict = Judge(SCHEMA, rule=Rule.parse(name))(THREE, person=True)
        assert (verdict.annotation.entities, verdict.open) == ((A,), 1)


def test_a_pin_decides_for_persons_too() -> None:
    """A workspace that pins a rule has nothing open, in test documents either."""
    for name in ("unanimous", "majority", "weighted", "first:z"):
        judge = Judge(SCHEMA, Rule.parse(name))
        assert judge(THREE, person=True).open == 0
        assert not judge.leaves_less_to_persons


def test_a_judge_who_weighs_first_learns_whom_to_trust() -> None:
    """One good annotator against two bad ones: informed, the judge sides with the good one."""
    _, documents = team((GOOD, BAD, BAD), seed=2, documents=60)
    labels = sorted({e.label for sides in documents for s in sides for e in s.entities})
    schema = LabelSchema(name="t", entities=tuple(EntityType(label) for label in labels))
    judge = Judge(schema, rule=Rule.parse("weighted"))
    assert judge.weighs
    informed = judge.informed(documents)
    assert not informed.weighs
    assert informed.informed(documents) is informed
    dispute = [
        Annotation.of("d", entities, (), Source.annotator(name))
        for name, entities in (("a0", [Entity(0, 5, labels[0])]), ("a1", []), ("a2", []))
    ]
    assert len(informed(dispute).annotation.entities) == 1
    assert informed(dispute).open == 1, "and says that it is not sure"
    assert Judge(schema, rule=Rule.parse("majority"))(dispute).annotation.entities == ()
