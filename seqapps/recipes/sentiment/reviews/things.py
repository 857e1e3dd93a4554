"""What is reviewed: films, books, devices and hotels with their aspects, and neutral context."""

from typing import NamedTuple

from seqapps.recipes.sentiment.reviews.heldout import Draw
from seqapps.recipes.sentiment.reviews.lexicon import ANY


class Subject(NamedTuple):
    """What a clause is about.

    `text` is its subject case and `object` its object case ("they", "them"). `field` says which
    polar words fit. `made` is the participle that adverbs qualify ("badly written"), or empty.
    """

    text: str
    object: str
    plural: bool
    field: str
    made: str

    @property
    def pronoun(self) -> "Subject":
        """The same, mentioned again."""
        text, obj = ("they", "them") if self.plural else ("it", "it")
        return self._replace(text=text, object=obj)


class Thing(NamedTuple):
    """A kind of thing that is reviewed.

    `aspects` may decide the label; the `trifles` (poster, box) never do. `earlier` names another
    of its kind to compare with.
    """

    noun: str
    domain: str
    aspects: tuple[Subject, ...]
    trifles: tuple[str, ...]
    earlier: tuple[str, ...]
    plural: bool = False

    @property
    def lasting(self) -> tuple[Subject, ...]:
        """The aspects that one can think of differently later: not the delivery, not the price."""
        return tuple(aspect for aspect in self.aspects if aspect.field != ANY)

    def whole(self, determiner: str = "the") -> Subject:
        """The thing itself, after this determiner."""
        text = f"{determiner} {self.noun}"
        made = {"screen": "made", "page": "written", "gear": "made", "place": "furnished"}
        return Subject(text, text, self.plural, FIELDS[self.domain], made[self.domain])

    def this(self) -> Subject:
        """The thing itself, pointed at."""
        return self.whole("these" if self.plural else "this")


FIELDS = {"screen": "story", "page": "story", "gear": "gear", "place": "place"}
"""The field of polar words that fit the things of each domain."""


def _aspects(field: str, listed: str) -> tuple[Subject, ...]:
    """Reads `plot/constructed, characters*/drawn`; `*` marks a plural, no participle no adverb."""
    aspects = []
    for item in listed.split(","):
        name, _, made = item.strip().partition("/")
        plain = f"the {name.rstrip('*')}"
        aspects.append(Subject(plain, plain, name.endswith("*"), field, made))
    return tuple(aspects)


_SEEN = (
    *_aspects(
        "story",
        "plot/constructed, story/told, ending/handled, dialogue/written, script/written, "
        "opening/staged, second half/directed, characters*/written",
    ),
    *_aspects(ANY, "acting, soundtrack, cast, camera work, costumes*/designed"),
)
_SHOWN = (
    *_aspects("story", "opening/edited, narration/written, interviews*/filmed, second part/filmed"),
    *_aspects(ANY, "music, camera work, pictures*/filmed, research"),
)
_READ = (
    *_aspects(
        "story",
        "plot/constructed, story/told, ending/written, dialogue/written, first chapter/written, "
        "last part/written, characters*/drawn, prose/written",
    ),
    *_aspects(ANY, "translation, maps*/drawn"),
)
_TOLD = (
    *_aspects("story", "early chapters*/written, ending/written, style, anecdotes*/told"),
    *_aspects(ANY, "research, photographs*/chosen"),
)
_SERVED = (
    *_aspects(
        "place",
        "room/furnished, bathroom/furnished, lobby/decorated, lounge/decorated, terrace/kept, "
        "breakfast room/decorated, garden/kept, bar/decorated",
    ),
    *_aspects(ANY, "service/organised, breakfast/prepared, food/prepared, view"),
)
_BOUGHT = _aspects(ANY, "price, delivery/organised, customer service/organised")


def _gear(listed: str) -> tuple[Subject, ...]:
    return (*_aspects("gear", listed), *_BOUGHT)


_POSTER = ("poster", "trailer", "title")
_COVER = ("cover", "title", "blurb")
_BOX = ("box", "manual", "sticker", "wrapping")
_LEAFLET = ("brochure", "website", "key ring", "car park")
_LAST = ("the previous one", "the one from last year", "the first one")
_OLD = ("my old one", "the previous one", "the one that I had before")

THINGS: tuple[Thing, ...] = (
    *(
        Thing(noun, "screen", _SEEN, _POSTER, _LAST)
        for noun in ("film", "series", "comedy", "thriller", "western", "costume drama")
    ),
    Thing("documentary", "screen", _SHOWN, _POSTER, _LAST),
    *(
        Thing(noun, "page", _READ, _COVER, _LAST)
        for noun in ("novel", "crime novel", "book", "comic")
    ),
    Thing("memoir", "page", _TOLD, _COVER, _LAST),
    Thing("biography", "page", _TOLD, _COVER, _LAST),
    *(
        Thing(noun, "gear", _gear(f"{parts}/made"), _BOX, _OLD)
        for noun, parts in (
            ("phone", "battery/made, screen/made, camera/designed, charger/made, case"),
            ("laptop", "battery/made, screen/made, keyboard/designed, hinge/made, fan"),
            ("kettle", "lid/made, handle/designed, switch/made, filter"),
            ("toaster", "lever/made, timer/designed, crumb tray"),
            ("camera", "lens/made, battery/made, display/designed, strap"),
            ("coffee machine", "pump/made, filter/made, milk frother/designed, water tank"),
            ("vacuum cleaner", "motor/made, hose/made, brush/designed, bin"),
            ("watch", "strap/made, battery/made, display/designed, clasp"),
        )
    ),
    Thing(
        "headphones",
        "gear",
        _gear("cable/made, ear pads*/made, headband/designed, microphone/made"),
        _BOX,
        ("my old ones", "the previous ones", "the ones that I had before"),
        plural=True,
    ),
    *(
        Thing(noun, "place", _SERVED, _LEAFLET, ("the one from last year", "the previous one"))
        for noun in ("hotel", "guest house", "hostel", "inn")
    ),
)
"""Everything that is reviewed."""

_CONTEXT = {
    "screen": (
        "I watched the {noun} on {day} evening with {person}.",
        "We saw the {noun} at home on {day}.",
        "{Person} and I watched the {noun} in {month}.",
        "The {noun} is set in {place}.",
        "The {noun} was shown one {day} in {month}.",
        "I had read about the {noun} in {month}.",
    ),
    "page": (
        "I read the {noun} on the train to {place}.",
        "I borrowed the {noun} from {person} in {month}.",
        "The {noun} is set in {place}.",
        "I finished the {noun} on {day} evening.",
        "{Person} gave me the {noun} in {month}.",
        "We read the {noun} for our book club in {month}.",
    ),
    "gear": (
        "I ordered the {noun} in {month}.",
        "I bought the {noun} for {person} in {month}.",
        "The {noun} arrived on {day}.",
        "{Person} chose the colour of the {noun}.",
        "I use the {noun} in the office every {day}.",
        "I bought the {noun} in a shop in {place}.",
    ),
    "place": (
        "I stayed at the {noun} in {month} with {person}.",
        "We arrived at the {noun} on {day} evening.",
        "The {noun} is near the station in {place}.",
        "{Person} had booked the {noun} for {day}.",
        "We spent three nights at the {noun} in {month}.",
        "I was in {place} for work, and the {noun} is in the old town.",
    ),
}
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("January", "March", "April", "May", "June", "August", "October", "December")
_PEOPLE = ("my sister", "my brother", "my mother", "a friend", "my cousin", "a colleague", "my son")
_PLACES = ("Vienna", "Lisbon", "Dublin", "Prague", "Oslo", "Bristol", "Seville", "Quebec")


def context(draw: Draw, thing: Thing) -> str:
    """A neutral sentence on when, where or with whom; it never bears on the label."""
    person = draw.one(_PEOPLE)
    return draw.one(_CONTEXT[thing.domain]).format(
        noun=thing.noun,
        person=person,
        Person=person[0].upper() + person[1:],
        day=draw.one(_DAYS),
        month=draw.one(_MONTHS),
        place=draw.one(_PLACES),
    )
