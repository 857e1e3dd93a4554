"""Nouns, adjectives, cities and people of the phrasebook, and which adjective fits which noun."""

from typing import NamedTuple


class Noun(NamedTuple):
    """A noun in both languages; `plural` and `german_plural` are empty for what is not counted."""

    english: str
    plural: str
    german: str
    german_plural: str
    gender: str
    """`m`, `f` or `n`."""
    oblique: str
    """Singular outside the nominative; differs from `german` in the n-declension."""
    classes: frozenset[str]


class Place(NamedTuple):
    """How to be at a place and how to go there."""

    noun: Noun
    at: str
    german_at: str
    """Preposition with the dative."""
    german_to: str
    """Preposition: `zu` takes the dative, all others the accusative."""


class Adjective(NamedTuple):
    """An adjective with its comparatives (empty where nothing is compared)."""

    english: str
    german: str
    comparative: str
    german_comparative: str


# English singular and plural | German singular, plural, gender, n-declension ending | classes.
# `-` stands for "has none".
_NOUNS = """
man men | Mann Männer m | adult
woman women | Frau Frauen f | adult
doctor doctors | Arzt Ärzte m | adult
teacher teachers | Lehrer Lehrer m | adult social
waiter waiters | Kellner Kellner m | adult
guest guests | Gast Gäste m | adult social
tourist tourists | Tourist Touristen m en | adult
customer customers | Kunde Kunden m n | adult
policeman policemen | Polizist Polizisten m en | adult
student students | Student Studenten m en | adult
saleswoman saleswomen | Verkäuferin Verkäuferinnen f | adult
friend friends | Freund Freunde m | adult social owned
neighbour neighbours | Nachbar Nachbarn m n | adult social owned
colleague colleagues | Kollege Kollegen m n | adult social owned
boss bosses | Chef Chefs m | adult social owned
child children | Kind Kinder n | young
boy boys | Junge Jungen m n | young
girl girls | Mädchen Mädchen n | young
brother brothers | Bruder Brüder m | kin
sister sisters | Schwester Schwestern f | kin
mother - | Mutter - f | kin
father - | Vater - m | kin
daughter daughters | Tochter Töchter f | kin
son sons | Sohn Söhne m | kin
grandmother - | Großmutter - f | kin
grandfather - | Großvater - m | kin
dog dogs | Hund Hunde m | animal
cat cats | Katze Katzen f | animal
horse horses | Pferd Pferde n | animal
bird birds | Vogel Vögel m | animal
bread - | Brot - n | food
cheese - | Käse - m | food
fish - | Fisch - m | food cooked
rice - | Reis - m | food cooked
meat - | Fleisch - n | food cooked
ice_cream - | Eis - n | food
apple apples | Apfel Äpfel m | food fruit
orange oranges | Orange Orangen f | food fruit
egg eggs | Ei Eier n | food cooked
cake cakes | Kuchen Kuchen m | food
salad salads | Salat Salate m | food
soup soups | Suppe Suppen f | food cooked
pizza pizzas | Pizza Pizzen f | food
potato potatoes | Kartoffel Kartoffeln f | food cooked
tomato tomatoes | Tomate Tomaten f | food fruit
roll rolls | Brötchen Brötchen n | food
coffee - | Kaffee - m | drink
tea - | Tee - m | drink
water - | Wasser - n | drink
milk - | Milch - f | drink
juice - | Saft - m | drink
beer - | Bier - n | drink
wine - | Wein - m | drink
jacket jackets | Jacke Jacken f | clothes
coat coats | Mantel Mäntel m | clothes
shirt shirts | Hemd Hemden n | clothes
dress dresses | Kleid Kleider n | clothes womens
skirt skirts | Rock Röcke m | clothes womens
hat hats | Hut Hüte m | clothes
sweater sweaters | Pullover Pullover m | clothes
bag bags | Tasche Taschen f | bag
suitcase suitcases | Koffer Koffer m | bag
umbrella umbrellas | Regenschirm Regenschirme m | thing
key keys | Schlüssel Schlüssel m | thing
gift gifts | Geschenk Geschenke n | thing
watch watches | Uhr Uhren f | thing
camera cameras | Kamera Kameras f | thing
lamp lamps | Lampe Lampen f | furniture
computer computers | Computer Computer m | device
phone phones | Telefon Telefone n | device
flower flowers | Blume Blumen f | flower
book books | Buch Bücher n | read
letter letters | Brief Briefe m | read
newspaper newspapers | Zeitung Zeitungen f | read
magazine magazines | Zeitschrift Zeitschriften f | read
message messages | Nachricht Nachrichten f | read
postcard postcards | Postkarte Postkarten f | read
menu menus | Speisekarte Speisekarten f | paper
city_map city_maps | Stadtplan Stadtpläne m | paper
ticket tickets | Fahrkarte Fahrkarten f | paper
passport passports | Pass Pässe m | paper
bill bills | Rechnung Rechnungen f | paper
address addresses | Adresse Adressen f | abstract
photo photos | Foto Fotos n | image
picture pictures | Bild Bilder n | image
money - | Geld - n | money
luggage - | Gepäck - n | luggage
time - | Zeit - f | time
car cars | Auto Autos n | vehicle
bicycle bicycles | Fahrrad Fahrräder n | vehicle
bus buses | Bus Busse m | transport
train trains | Zug Züge m | transport
taxi taxis | Taxi Taxis n | transport
tram trams | Straßenbahn Straßenbahnen f | transport
ship ships | Schiff Schiffe n | transport
plane planes | Flugzeug Flugzeuge n | transport
table tables | Tisch Tische m | furniture
chair chairs | Stuhl Stühle m | furniture
bed beds | Bett Betten n | furniture
door doors | Tür Türen f | part
window windows | Fenster Fenster n | part
house houses | Haus Häuser n | home
flat flats | Wohnung Wohnungen f | home
room rooms | Zimmer Zimmer n | home
concert concerts | Konzert Konzerte n | event
film films | Film Filme m | event
exhibition exhibitions | Ausstellung Ausstellungen f | event
flight flights | Flug Flüge m | journey
trip trips | Reise Reisen f | journey
question questions | Frage Fragen f | abstract
answer answers | Antwort Antworten f | abstract
word words | Wort Wörter n | abstract
language languages | Sprache Sprachen f | abstract
story stories | Geschichte Geschichten f | abstract
song songs | Lied Lieder n | abstract
game games | Spiel Spiele n | abstract
night nights | Nacht Nächte f | span
day days | Tag Tage m | span
week weeks | Woche Wochen f | span
station stations | Bahnhof Bahnhöfe m | building stop
airport airports | Flughafen Flughäfen m | building stop
hotel hotels | Hotel Hotels n | building lodging
restaurant restaurants | Restaurant Restaurants n | building dining
café cafés | Café Cafés n | building dining
museum museums | Museum Museen n | building sight
church churches | Kirche Kirchen f | building sight
castle castles | Schloss Schlösser n | building sight
bridge bridges | Brücke Brücken f | sight
market markets | Markt Märkte m | shops
supermarket supermarkets | Supermarkt Supermärkte m | building shops
bakery bakeries | Bäckerei Bäckereien f | building shops
pharmacy pharmacies | Apotheke Apotheken f | building shops
shop shops | Geschäft Geschäfte n | building shops
hospital hospitals | Krankenhaus Krankenhäuser n | building
school schools | Schule Schulen f | building
university universities | Universität Universitäten f | building
theatre theatres | Theater Theater n | building
cinema cinemas | Kino Kinos n | building
library libraries | Bibliothek Bibliotheken f | building
bank banks | Bank Banken f | building
office offices | Büro Büros n | building
harbour harbours | Hafen Häfen m | outdoors
park parks | Park Parks m | outdoors
beach beaches | Strand Strände m | outdoors
lake lakes | See Seen m | outdoors
garden gardens | Garten Gärten m | outdoors
kitchen kitchens | Küche Küchen f | indoors
bathroom bathrooms | Bad Bäder n | indoors
village villages | Dorf Dörfer n | town
island islands | Insel Inseln f | town
street streets | Straße Straßen f | road
way - | Weg - m | unique
"""

# place: English preposition, German preposition (dative) | German preposition for going there
_PLACES = """
station at an | zu
airport at an | zu
hotel at in | zu
restaurant at in | in
café in in | in
museum at in | in
church in in | zu
castle in in | zu
bridge on auf | zu
market at auf | zu
supermarket at in | zu
bakery at in | zu
pharmacy at in | zu
hospital at in | in
school at in | zu
university at an | zu
theatre at in | in
cinema at in | in
library in in | in
bank at in | zu
office at in | in
harbour at an | zu
park in in | in
beach at an | zu
lake at an | zu
garden in in | in
village in in | in
island on auf | auf
shop in in | zu
kitchen in in | in
"""

# English (comparative) | German (comparative) | classes and nouns it goes with
_COLOURED = "clothes bag vehicle umbrella lamp chair"
_ADJECTIVES = f"""
new newer | neu neuer | clothes bag vehicle device furniture umbrella watch camera hotel \
restaurant museum house flat book film song game colleague boss neighbour teacher bridge cinema
old older | alt älter | clothes bag vehicle device furniture home church castle bridge book man \
woman horse dog cat hotel theatre university letter photo picture village street ship friend
big bigger | groß größer | bag home dog horse gift cake pizza salad hotel castle church garden \
park lake market window table bed kitchen ship umbrella picture airport island supermarket
small smaller | klein kleiner | bag home dog cat bird gift cake pizza salad hotel castle church \
garden park lake market window table lamp bed kitchen ship island village shop bathroom café
cheap cheaper | billig billiger | clothes hotel restaurant ticket flat bicycle umbrella lamp \
camera computer flight watch pizza table
expensive more_expensive | teuer teurer | clothes bag hotel restaurant ticket flat car watch \
camera computer flight gift wine cheese trip fish picture
beautiful more_beautiful | schön schöner | dress hat flower village island castle church beach \
lake garden house picture photo postcard song horse bird bridge park coat story
red - | rot - | {_COLOURED} apple flower door
blue - | blau - | {_COLOURED} door flower
green - | grün - | {_COLOURED} apple door
white - | weiß - | {_COLOURED} flower cat horse table ship house
black - | schwarz - | {_COLOURED} cat dog horse table bird
yellow - | gelb - | {_COLOURED} flower bird
brown - | braun - | {_COLOURED} dog horse table egg
fresh fresher | frisch frischer | bread fish egg milk apple orange tomato salad roll juice meat \
cheese cake flower
hot hotter | heiß heißer | coffee tea milk soup
cold colder | kalt kälter | water milk beer juice tea lake
warm warmer | warm wärmer | jacket coat sweater milk soup bread roll room
sweet sweeter | süß süßer | apple orange cake wine juice tea
long longer | lang länger | letter story trip film flight skirt coat dress street bridge word
short shorter | kurz kürzer | letter story trip film flight skirt message answer concert \
dress word
interesting more_interesting | interessant interessanter | book story film museum exhibition \
question letter magazine trip castle language newspaper game village
boring more_boring | langweilig langweiliger | book film concert story magazine trip game \
exhibition village letter
important more_important | wichtig wichtiger | letter question message word language customer \
guest answer book address
difficult more_difficult | schwierig schwieriger | question word language game answer
easy easier | einfach einfacher | question word language game answer
heavy heavier | schwer schwerer | bag luggage table book door gift bicycle
modern more_modern | modern moderner | hotel museum flat kitchen library airport station \
hospital theatre train school office university bathroom house
comfortable more_comfortable | bequem bequemer | chair bed car train jacket sweater
quiet quieter | ruhig ruhiger | room hotel street beach flat park café garden island library \
village neighbour guest
loud louder | laut lauter | street restaurant dog neighbour car song guest
clean cleaner | sauber sauberer | room kitchen bathroom shirt beach table window flat hotel lake
dirty dirtier | schmutzig schmutziger | shirt window car kitchen coat table bathroom dog bag \
dress jacket
fast faster | schnell schneller | car train bicycle horse ship computer taxi bus
slow slower | langsam langsamer | train bus computer car ship tram horse
young younger | jung jünger | man woman doctor teacher waiter dog cat policeman saleswoman \
student horse
friendly friendlier | freundlich freundlicher | adult child dog girl boy
nice nicer | nett netter | adult child girl boy
famous more_famous | berühmt berühmter | castle church museum picture bridge restaurant song \
university theatre book film island market
funny funnier | lustig lustiger | film story book song game child photo dog postcard message
broken - | kaputt - | device vehicle lamp chair window umbrella suitcase watch camera bed door
empty - | leer - | bag bus train restaurant house room street bed beach café
"""

# English | German
_CITIES = """
Berlin Berlin
Hamburg Hamburg
Vienna Wien
Munich München
Rome Rom
Paris Paris
London London
Cologne Köln
Prague Prag
Italy Italien
France Frankreich
Austria Österreich
Spain Spanien
"""

WOMEN = ("Anna", "Maria", "Julia", "Lena", "Eva")
MEN = ("Peter", "Thomas", "Paul", "Max", "Felix")
SURNAMES = ("Weber", "Klein", "Schmidt")


def _word(text: str) -> str:
    return "" if text == "-" else text.replace("_", " ")


def _noun(line: str) -> Noun:
    english, german, classes = (part.split() for part in line.split("|"))
    oblique = german[0] + (german[3] if len(german) > 3 else "")
    return Noun(
        _word(english[0]),
        _word(english[1]),
        german[0],
        _word(german[1]),
        german[2],
        oblique,
        frozenset(classes),
    )


NOUNS = {noun.english: noun for noun in map(_noun, _NOUNS.strip().splitlines())}


def matching(selection: str) -> tuple[Noun, ...]:
    """Nouns chosen by a list of class names and English nouns, in the order of the table."""
    wanted = set(selection.split())
    return tuple(
        noun
        for noun in NOUNS.values()
        if noun.english.replace(" ", "_") in wanted or noun.classes & wanted
    )


def _place(line: str) -> Place:
    name, english, german, direction = line.replace("|", " ").split()
    return Place(NOUNS[name], english, german, direction)


def _adjective(line: str) -> tuple[Adjective, tuple[Noun, ...]]:
    english, german, selection = line.split("|")
    words = (*english.split(), *german.split())
    return (
        Adjective(_word(words[0]), words[2], _word(words[1]), _word(words[3])),
        matching(selection),
    )


OWNABLE = frozenset(
    matching(
        "clothes bag device thing vehicle home animal image furniture camera watch garden kitchen "
        "bathroom ticket passport bill address money luggage book letter message newspaper trip"
    )
)
"""What people call theirs."""
PLACES = {place.noun.english: place for place in map(_place, _PLACES.strip().splitlines())}
CITIES = tuple((line.split()[0], line.split()[1]) for line in _CITIES.strip().splitlines())
FITTING = dict(map(_adjective, _ADJECTIVES.strip().splitlines()))
"""Adjective → the nouns it goes with."""
UNWANTED = frozenset("dirty broken boring loud slow empty short heavy".split())
"""What nobody buys, orders or recommends."""
ADJECTIVES = {
    noun.english: tuple(adjective for adjective, nouns in FITTING.items() if noun in nouns)
    for noun in NOUNS.values()
}
"""English noun → the adjectives that go with it."""
