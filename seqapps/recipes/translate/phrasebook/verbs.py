"""Verbs of the phrasebook: their forms in both languages, what they go with and where."""

from typing import NamedTuple

from seqapps.recipes.translate.phrasebook.nouns import NOUNS, PLACES, Noun, Place, matching


class Verb(NamedTuple):
    """A verb in both languages with everything that it demands of its sentence."""

    english: str
    third: str
    past: str
    participle: str
    gerund: str
    german: str
    """Infinitive without the separable prefix."""
    prefix: str
    german_third: str
    """Third person singular without the prefix."""
    german_participle: str
    auxiliary: str
    """`haben` or `sein`."""
    preterite: str
    """First person singular, where the German past is not the perfect tense; else empty."""
    preposition: str
    """German preposition of the object, empty for a plain object."""
    dative: bool
    """Whether the German object stands in the dative."""
    objects: tuple[Noun, ...]
    places: tuple[Place, ...]
    determiners: str
    """t `the`, a `a` or nothing, d `this`, o a possessive of the subject, n a number."""
    flags: frozenset[str]


# English (irregular past and participle) | German infinitive (`.` after a separable prefix), third
# person, participle (`+` with sein), preterite where it is used, preposition and case of the object
# | objects | places | determiners | flags:
# which tenses it has: state, perceive, accident, chance, arrival, inner (see `tenses` in words.py);
# habit (people do it again and again), now (nobody plans it for tomorrow), happy, sad, tired (what
# it makes people), long (other things happen meanwhile), company (done with others), one (never in
# the plural), chosen (nobody chooses something bad), costs (money), far (also planned for next
# year), reflexive, to (`give the book to ...`).
_TRANSITIVE = """
buy bought bought | kaufen kauft gekauft | food drink clothes bag read gift watch camera device \
ticket vehicle flower furniture umbrella house flat picture city_map | @ | adn | happy chosen costs
eat ate eaten | essen isst gegessen | food | dining kitchen garden hotel | tadn | long company habit
drink drank drunk | trinken trinkt getrunken | drink | dining kitchen garden hotel | a \
| long company habit
order | bestellen bestellt bestellt | cake salad soup pizza fish meat ice_cream drink taxi \
| | a | one chosen costs
cook | kochen kocht gekocht | cooked | kitchen | ta | tired long company habit
try | probieren probiert probiert | cake cheese wine soup fish ice_cream beer pizza salad \
| dining market | td | company
read read read | lesen liest gelesen | read menu | library park garden café beach | tad | long habit
write wrote written | schreiben schreibt geschrieben | letter book message postcard story \
| library office café hotel | adn | long habit
see saw seen | sehen sieht gesehen | animal sight film exhibition ship island lake city_map \
photo picture young | | tad | perceive happy
find found found | finden findet gefunden | thing bag paper hotel restaurant shop pharmacy \
camera watch phone beach money answer word way street | | td | chance happy
look_for | suchen sucht gesucht | thing bag paper animal flat room camera phone young \
money address | station hotel airport park | t | long now
need | brauchen braucht gebraucht brauchte | thing bag ticket room clothes device money doctor \
bed table chair city_map vehicle lamp time | | adn | state
have had had | haben hat gehabt hatte | animal clothes device vehicle home garden question \
camera watch brother sister daughter son time money | | an | state
like | mögen mag gemocht mochte | food drink clothes animal sight song story film game picture \
book language boss teacher village | | td | state chosen
know knew known | kennen kennt gekannt kannte | adult sight song story film game address \
language hotel restaurant way | | td | state
take took taken | nehmen nimmt genommen | transport | | ta | one habit
visit | besuchen besucht besucht | museum church castle exhibition island village market \
university friend neighbour colleague teacher kin | | tdo | happy company habit far
meet met met | treffen trifft getroffen | adult kin | station park café hotel museum airport \
| tao | happy habit
invite | ein.laden lädt eingeladen | friend neighbour colleague teacher boss kin student doctor \
| | to | habit far
ask | fragen fragt gefragt | adult kin | | to |
call | an.rufen ruft angerufen | adult kin taxi | | to | habit
pick_up | ab.holen holt abgeholt | ticket bag kin young guest tourist key luggage letter friend \
| station airport hotel | to |
answer | beantworten beantwortet beantwortet | question letter message | | td |
open | öffnen öffnet geöffnet | part bag letter gift | | td |
close | schließen schließt geschlossen | part bag book | | td |
clean | putzen putzt geputzt | window kitchen bathroom room flat bicycle table | | tdo \
| tired long habit
repair | reparieren repariert repariert | vehicle device watch lamp chair door window camera bed \
| | tdo | tired long
sell sold sold | verkaufen verkauft verkauft | vehicle home clothes picture watch horse camera \
furniture flower bag | | tado | sad far
rent | mieten mietet gemietet | vehicle flat house room | | ta | one far chosen costs
book | buchen bucht gebucht | flight trip room hotel | | ta | one company chosen costs
reserve | reservieren reserviert reserviert | room table | | tan | chosen
pay_for paid paid | bezahlen bezahlt bezahlt | ticket room coffee beer pizza taxi salad cake wine \
bill | | td | costs
forget forgot forgotten | vergessen vergisst vergessen | thing bag paper address word money phone \
camera jacket | hotel restaurant station café office | tdo | accident sad habit
lose lost lost | verlieren verliert verloren | thing paper bag hat money phone camera watch dog \
| park station museum airport beach | to | accident sad
carry | tragen trägt getragen | bag luggage chair table computer | | td | tired long now
wear wore worn | tragen trägt getragen | clothes | | ad | one habit
wash | waschen wäscht gewaschen | car clothes dog | | tdo | tired long
hear heard heard | hören hört gehört | song story bird dog concert train question | | td | perceive
understand understood understood | verstehen versteht verstanden | question answer word language \
story film letter message | | td | perceive
learn | lernen lernt gelernt | language song word | school university | tad | long company far
paint | malen malt gemalt | picture flower house horse village bridge | garden park beach | tadn \
| long habit
photograph | fotografieren fotografiert fotografiert | sight animal lake island ship flower \
village young | | tdn | long habit
miss | verpassen verpasst verpasst | transport flight film concert | | td | accident sad habit
wait_for | warten wartet gewartet auf4 | transport adult kin letter answer message \
| station airport park café hotel | to | long
talk_to | sprechen spricht gesprochen mit3 | adult kin | park station office café | tao | long habit
dream_of | träumen träumt geträumt von3 | island trip house garden horse castle beach lake | | ad \
| inner habit
look_after | auf.passen passt aufgepasst auf4 | luggage animal young bag house | | t | long now
look_forward_to | freuen freut gefreut auf4 | trip event letter game | | t | inner reflexive
help | helfen hilft geholfen =3 | adult kin young | kitchen garden station office | to \
| happy long habit
thank | danken dankt gedankt =3 | adult kin girl boy | | to |
follow | folgen folgt +gefolgt =3 | adult young dog bus taxi car | | t | long now
"""

# Somebody (dative in German) receives the object.
_GIVING = """
give gave given | geben gibt gegeben | gift key flower book letter photo ticket bag money \
address camera apple | | tan | happy chosen
show showed shown | zeigen zeigt gezeigt | picture way room passport house castle city_map book \
garden ticket museum flat photo | | td | happy
bring brought brought | bringen bringt gebracht | menu bill food drink key luggage chair letter \
newspaper | | ta | chosen
send sent sent | schicken schickt geschickt | letter postcard message photo gift book bill \
| | tan |
sell sold sold | verkaufen verkauft verkauft | car bicycle ticket house picture watch horse camera \
| | ta | sad
recommend | empfehlen empfiehlt empfohlen | hotel restaurant book film museum wine café fish soup \
beach | | td | to chosen
explain | erklären erklärt erklärt | question word way game answer picture menu bill \
| | td | to
"""

# The place is where somebody goes.
_MOVING = """
go went gone | gehen geht +gegangen | | building shops park beach lake harbour garden | t \
| company habit
drive drove driven | fahren fährt +gefahren | | building shops beach lake harbour village | t \
| tired company habit
run ran run | laufen läuft +gelaufen | | station park beach lake bridge hotel harbour hospital \
| t | tired
travel travelled travelled | reisen reist +gereist | | | t | costs happy company habit far
fly flew flown | fliegen fliegt +geflogen | | | t | costs happy company habit far
come_back came come | zurück.kommen kommt +zurückgekommen | | building shops park beach lake \
harbour | t | arrival
"""

# The place is where somebody is.
_STAYING = """
stay | bleiben bleibt +geblieben | | hotel village hospital island | t | long
work | arbeiten arbeitet gearbeitet | | hotel restaurant museum bakery pharmacy hospital school \
university theatre library bank office garden kitchen harbour supermarket shop | t \
| tired long habit far
wait | warten wartet gewartet | | station airport harbour bridge hotel café bank museum | t | long
sleep slept slept | schlafen schläft geschlafen | | hotel garden beach castle | t | long habit
dance | tanzen tanzt getanzt | | restaurant park hotel castle beach bridge | t \
| happy long company habit
sing sang sung | singen singt gesungen | | church theatre school park garden kitchen | t \
| happy long company habit
swim swam swum | schwimmen schwimmt +geschwommen | | lake beach | t \
| tired long company habit
play | spielen spielt gespielt | | park garden beach school bridge | t | happy long company habit
arrive | an.kommen kommt +angekommen | | station airport hotel harbour beach village university \
| t | arrival happy
smoke | rauchen raucht geraucht | | garden park café bridge | t | long now habit
"""

# Where things are bought, by class; what is not listed is bought without naming a place.
_SHOPPING = {
    "food": "market supermarket",
    "drink": "market supermarket",
    "clothes": "market shop",
    "flower": "market shop",
    "paper": "station airport",
    "read": "shop airport",
    "thing": "market shop",
}

_DOUBLED = {"forget", "get", "run", "swim", "travel"}


def _third(verb: str) -> str:
    if verb == "have":
        return "has"
    if verb.endswith(("s", "sh", "ch", "x", "o")):
        return verb + "es"
    return verb[:-1] + "ies" if verb[-1] == "y" and verb[-2] not in "aeou" else verb + "s"


def _past(verb: str) -> str:
    if verb.endswith("e"):
        return verb + "d"
    return verb[:-1] + "ied" if verb[-1] == "y" and verb[-2] not in "aeou" else verb + "ed"


def _gerund(verb: str) -> str:
    if verb in _DOUBLED:
        return verb + verb[-1] + "ing"
    return (verb[:-1] if verb.endswith("e") and not verb.endswith("ee") else verb) + "ing"


def _places(selection: str) -> tuple[Place, ...]:
    return tuple(PLACES[noun.english] for noun in matching(selection) if noun.english in PLACES)


def _verb(line: str) -> Verb:
    english, german, objects, places, determiners, flags = (
        part.split() for part in line.split("|")
    )
    head, _, particle = english[0].partition("_")
    past, participle = english[1:] or (_past(head), _past(head))
    tail = " " + particle.replace("_", " ") if particle else ""
    prefix, _, infinitive = german[0].rpartition(".")
    preterite = preposition = ""
    dative = False
    for extra in german[3:]:
        if extra[-1].isdigit():
            preposition, dative = extra[:-1].strip("="), extra[-1] == "3"
        else:
            preterite = extra
    return Verb(
        english=head + tail,
        third=_third(head) + tail,
        past=past + tail,
        participle=participle + tail,
        gerund=_gerund(head) + tail,
        german=infinitive,
        prefix=prefix,
        german_third=german[1],
        german_participle=german[2].lstrip("+"),
        auxiliary="sein" if german[2].startswith("+") else "haben",
        preterite=preterite,
        preposition=preposition,
        dative=dative,
        objects=matching(" ".join(objects)),
        places=() if places == ["@"] else _places(" ".join(places)),
        determiners="".join(determiners),
        flags=frozenset(flags),
    )


def _table(text: str) -> tuple[Verb, ...]:
    return tuple(map(_verb, text.strip().splitlines()))


TRANSITIVE = _table(_TRANSITIVE)
GIVING = _table(_GIVING)
MOVING = _table(_MOVING)
STAYING = _table(_STAYING)
SHOPPING = {
    noun.english: next((_places(_SHOPPING[c]) for c in _SHOPPING if c in noun.classes), ())
    for noun in NOUNS.values()
}
"""English noun → where it is bought."""
