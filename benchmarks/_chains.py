"""The coreference chains of POPCORN, as far as our copy still shows them.

The copy lists mentions chain after chain, each chain by position, and draws every relation between
the two mentions of its chains whose beginnings are nearest.  So

- a chain ends where the label changes or a mention begins before the last one;
- mentions are not of one chain where they are related to each other or to the same mention, or
  where one is related to what stands nearer to the other (for chains that are certain by their
  words also: to two mentions of one chain);
- what is left is decided by words: pronouns, shared words, determiners, kinds of nouns.

Attributes (names, dates, numbers, functions …) are never in chains of more than one mention.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from curate.extractors.neighbours import PRONOUNS
from curate.extractors.rules import folded
from curate.gold.items import GoldDocument
from curate.model import Annotation, Entity

_PERSONS = frozenset(("CIVILIAN", "TERRORIST_OR_CRIMINAL", "MILITARY"))
_ORGS = frozenset(
    (
        "NON_GOVERNMENTAL_ORGANISATION",
        "NON_MILITARY_GOVERNMENT_ORGANISATION",
        "MILITARY_ORGANISATION",
        "INTERGOVERNMENTAL_ORGANISATION",
    )
)
_ATTRIBUTE = re.compile(
    r".*_0$|TIME_|QUANTITY_|COLOR|NATIONALITY|WEIGHT|HEIGHT|WIDTH|LENGTH|LATITUDE|LONGITUDE"
    r"|MATERIAL_REFERENCE"
)


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_EMPTY = _set("de du des la le les l' d' un une et a au aux en")
_THIS = _set("ce cet cette ces")
_A = _set("un une autre autres d'autres plusieurs quelques deux trois quatre cinq")
_THE = _set("le la les l' l du de au aux d")
_HIS = _set("son sa ses leur leurs mon ma mes notre nos")
_KIN = _set(
    "femme mari fils fille frere soeur pere mere epouse epoux conjoint compagnon compagne ami amie "
    "amis amies collegue collegues enfant enfants parents famille proches cousin cousine oncle "
    "tante neveu niece assistant assistante associe associes collaboratrice collaborateur"
)
_OFFICES = frozenset(("ministre", "porte", "gouverneur", "prefet", "juge"))
_PLACES = _set(
    "ville villes pays capitale village region commune endroit lieu lieux place site batiment "
    "immeuble etablissement zone quartier territoire etat metropole cite ile province localite "
    "departement ou y la domicile maison demeure sol agglomeration municipalite locaux edifice "
    "batisse structure"
)
_HOUSES = _set(
    "batiment immeuble etablissement edifice batisse maison domicile demeure residence "
    "appartement locaux logement hotel usine centrale entrepot magasin boutique ecole "
    "structure habitation bar restaurant"
)
_FIRMS = _set(
    "organisation association entreprise compagnie societe groupe ong laboratoire banque "
    "magasin usine parti etablissement firme fondation club agence mouvement institution "
    "structure epicerie boutique groupement secte organisme hopital clinique federation "
    "collectif gang mafia reseau syndicat journal"
)
_ALIKE = [
    _set(words)
    for words in (
        "voiture vehicule automobile berline camion minibus bus autocar car fourgon camionnette "
        "engin bolide 4x4 taxi",
        "avion appareil vol helicoptere aeronef jet",
        "bateau navire embarcation paquebot yacht cargo voilier",
        "moto vehicule scooter",
        "arme revolver pistolet fusil",
        "bombe engin explosif engins explosifs missile roquette",
        "virus maladie",
        "voleurs bandits malfaiteurs braqueurs criminels cambrioleurs assaillants agresseurs "
        "individus terroristes hommes ravisseurs malfrats delinquants trafiquants complices "
        "kidnappeurs preneurs hooligans pirates jeunes rebelles insurges suspects coupables "
        "voyous forcenes bande membres",
        "manifestants grevistes protestataires participants travailleurs ouvriers employes "
        "militants activistes marcheurs partisans sympathisants manifestantes "
        "participantes cortege foule etudiants",
        "cortege convives invites participants membres",
        "ecoliers eleves",
        "couple epoux",
        "habitants population citoyens riverains residents villageois peuple gens",
        "policiers agents gendarmes",
        "medecins soignants soignant personnel infirmiers",
        "touristes voyageurs passagers occupants vacanciers",
        "foule personnes monde public",
        "corps depouilles defunts",
        "eleves etudiants lyceens enfants",
        "malades patients",
        "police autorites policiers gendarmerie polices agents gendarmes forces ordre commissariat",
        "pompiers secours urgences sapeurs secouristes ambulanciers samu medecins",
        "gouvernement etat autorites",
        "armee forces armees soldats militaires",
    )
]


@dataclass
class Report:
    """A report's mentions in the order of the file, and which of them are related."""

    text: str
    entities: Sequence[Entity]
    related: Sequence[tuple[int, int]]
    partners: dict[int, set[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for head, tail in self.related:
            self.partners.setdefault(head, set()).add(tail)
            self.partners.setdefault(tail, set()).add(head)

    def name(self, i: int) -> str:
        name = folded(self.text[self.entities[i].start : self.entities[i].end])
        return str(name).replace("’", "'")

    def words(self, i: int) -> frozenset[str]:
        parts = self.name(i).replace("'", " ").replace("-", " ").split()
        return frozenset(part for part in parts if part not in _EMPTY)

    def before(self, i: int) -> str:
        """The word before a mention."""
        found = folded(self.text[max(0, self.entities[i].start - 15) : self.entities[i].start])
        words = re.findall(r"\w+", found)
        return words[-1] if words else ""

    def first(self, i: int) -> str:
        return (re.findall(r"\w+", self.name(i)) or [""])[0]

    def proper(self, i: int) -> bool:
        surface = self.text[self.entities[i].start : self.entities[i].end]
        return surface[:1].isupper() and self.name(i) not in PRONOUNS and not self.pronoun(i)

    def pronoun(self, i: int) -> bool:
        name = self.name(i)
        return name in PRONOUNS or "dernier" in name or name in ("l'un", "un", "celui-ci", "cela")

    def apart(self, i: int, j: int) -> float:
        return abs(self.entities[i].start - self.entities[j].start)


def recovered_chains(report: Report, relations: bool = True) -> list[list[int]]:
    """The chains, as positions in the file's order; every mention is in one.

    Without ``relations`` the mentions' order and words alone decide.
    """
    runs = _runs(report)
    if not relations:
        return _all(report, runs, lambda i, j: False)
    sure = _number(_all(report, runs, _conflicts(report, {}), certain=True))
    return _all(report, runs, _conflicts(report, sure))


def _runs(report: Report) -> list[list[int]]:
    runs: list[list[int]] = []
    last: Entity | None = None
    for i, entity in enumerate(report.entities):
        goes_on = (
            last is not None
            and entity.label == last.label
            and entity.start >= last.end
            and not _ATTRIBUTE.match(entity.label)
        )
        if goes_on:
            runs[-1].append(i)
        else:
            runs.append([i])
        last = entity
    return runs


def _number(chains: Sequence[Sequence[int]]) -> dict[int, int]:
    return {i: n for n, chain in enumerate(chains) for i in chain}


def _conflicts(report: Report, chain: Mapping[int, int]) -> Callable[[int, int], bool]:
    """Whether two mentions cannot be of one chain; ``chain`` are chains held for certain."""
    members: dict[int, list[int]] = {}
    for i, n in chain.items():
        members.setdefault(n, []).append(i)

    def fellows(i: int) -> list[int]:
        return members.get(chain.get(i, -1), [i])

    def conflict(i: int, j: int) -> bool:
        ours, theirs = report.partners.get(i, set()), report.partners.get(j, set())
        if j in ours or ours & theirs:
            return True
        if {chain.get(k, -1 - k) for k in ours} & {chain.get(k, -1 - k) for k in theirs}:
            return True
        for one, other, partners in ((i, j, ours), (j, i, theirs)):
            for k in partners:
                if any(report.apart(other, n) < report.apart(one, k) for n in fellows(k)):
                    return True
        return False

    return conflict


def _all(
    report: Report,
    runs: Sequence[Sequence[int]],
    conflict: Callable[[int, int], bool],
    certain: bool = False,
) -> list[list[int]]:
    chains: list[list[int]] = []
    for run in runs:
        chains += _cut(report, run, conflict, certain)
    return chains


def _cut(
    report: Report, run: Sequence[int], conflict: Callable[[int, int], bool], certain: bool
) -> list[list[int]]:
    """The best way to cut a run into chains: the sum of what speaks for each link."""
    best: list[tuple[float, list[list[int]]]] = [(0.0, [])]
    for end in range(1, len(run) + 1):
        options = []
        for start in range(end - 1, -1, -1):
            part = run[start:end]
            if any(conflict(part[0], other) for other in part[1:]):
                break
            value = 0.0
            for k in range(1, len(part)):
                said = _link(report, part[:k], part[k])
                value += (said if said >= 3 else -9.0) if certain else said
            before, cuts = best[start]
            options.append((before + value, [*cuts, list(part)]))
        best.append(max(options, key=lambda option: option[0]))
    return best[-1][1]


def _link(report: Report, chain: Sequence[int], i: int) -> float:
    """What speaks for a mention being of the chain before it; below 0 against it."""
    label = report.entities[i].label
    words = report.words(i)
    if report.pronoun(i) or not words:
        return 4.0
    known = [report.words(k) for k in chain if not report.pronoun(k) and report.words(k)]
    if any(words == other for other in known):
        return 4.0
    if any(words & other for other in known):
        return 3.0
    if any(a[:5] == b[:5] for other in known for a in words for b in other if len(a) > 4):
        return 2.0 if label not in ("PLACE", "MATERIEL") else 0.5
    if not known:
        return 2.0
    if any(words & alike and other & alike for alike in _ALIKE for other in known):
        return 1.5
    this = report.before(i) in _THIS or report.first(i) in _THIS
    if label in _PERSONS:
        return _person(report, chain, i, this)
    if label in _ORGS:
        return _organisation(report, chain, i, this)
    if label == "PLACE":
        return _place(report, chain, i, this)
    if label == "GROUP_OF_INDIVIDUALS":
        return 2.0 if this else -0.7
    if label == "MATERIEL":
        return 1.5 if this else -3.0
    return 1.0  # events


def _person(report: Report, chain: Sequence[int], i: int, this: bool) -> float:
    names = [k for k in chain if report.proper(k)]
    if report.proper(i):
        return -4.0 if names else 1.0
    if this:
        return 3.0
    before = report.before(i)
    words = report.words(i)
    if words & _KIN and before in _HIS:
        return -3.0
    if before in _A:
        gap = report.text[report.entities[chain[-1]].end : report.entities[i].start]
        return 1.0 if re.fullmatch(r", \w+ ", gap) else -1.0
    if words & _OFFICES:
        return -1.0
    if words & _KIN - {"femme", "fille", "enfant", "mere"}:
        return -1.0
    return 0.7


def _organisation(report: Report, chain: Sequence[int], i: int, this: bool) -> float:
    names = [k for k in chain if report.proper(k)]
    if report.proper(i) and names:
        short, long = sorted((report.name(names[-1]), report.name(i)), key=len)
        initials = "".join(word[0] for word in long.replace("'", " ").split() if len(word) > 2)
        return 3.0 if short.replace(".", "") == initials else -3.0
    if this:
        return 2.5
    if report.words(i) & _FIRMS and report.before(i) in _THE | _HIS:
        return 2.0
    if report.proper(i):
        return 1.0
    return -1.0


def _place(report: Report, chain: Sequence[int], i: int, this: bool) -> float:
    words = report.words(i)
    names = [k for k in chain if report.proper(k)]
    if report.proper(i):
        if names:
            return -3.0
        return 1.0 if any(report.words(k) & _PLACES for k in chain) else -1.5
    if this or report.name(i) == "sur place":
        return 2.0
    known = [report.words(k) for k in chain]
    if words & _HOUSES:
        return 0.8 if any(other & _HOUSES for other in known) else -1.0
    if words & _PLACES and report.before(i) in _THE | _HIS:
        return 1.5 if names else 0.2
    return -1.5


def with_chains(
    documents: Iterable[GoldDocument], path: Path, relations: bool = True
) -> list[GoldDocument]:
    """The documents, read from ``path``, with their recovered chains of two mentions and more."""
    order = {}
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            order[row["id"]] = [(e["start"], e["end"], e["label"]) for e in row["entities"]]
    made = []
    for gold in documents:
        annotation = gold.annotation
        known = {entity.key: entity for entity in annotation.entities}
        keys = list(dict.fromkeys(order[gold.id]))
        place = {key: i for i, key in enumerate(keys)}
        related = [(place[r.head.key], place[r.tail.key]) for r in annotation.relations]
        report = Report(gold.document.text, [known[key] for key in keys], related)
        chains = [
            [report.entities[i] for i in chain]
            for chain in recovered_chains(report, relations)
            if len(chain) > 1
        ]
        said = Annotation.of(
            gold.id, annotation.entities, annotation.relations, annotation.source, chains
        )
        made.append(replace(gold, annotation=said))
    return made
