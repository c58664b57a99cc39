"""What must be known of a language to tell whether somebody has finished speaking.

Tables of words, no logic. English is complete; of the others there are the words that end no turn, those
by which a question names what it asks for, and the digits.
"""

from __future__ import annotations

__all__ = ["SpokenLanguage", "ValueKind", "spoken_language"]

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass


class ValueKind(enum.Enum):
    """What a question asks for."""

    FREE = "an answer"
    YES_NO = "yes or no"
    QUANTITY = "a quantity"
    DIGITS = "a number"
    TELEPHONE = "a telephone number"
    CARD = "a card number"
    SPELLING = "a spelled name"
    EMAIL = "an e-mail address"
    DATE = "a date"
    ADDRESS = "an address"


@dataclass(frozen=True, slots=True)
class SpokenLanguage:
    """One language's words."""

    unfinished: frozenset[str]
    """Words that hardly ever end a turn."""
    digits: Mapping[str, str]
    """Digit words beyond the English ones."""
    questions: tuple[tuple[ValueKind, re.Pattern[str]], ...]
    """What a question that holds such words asks for; the first that fits counts."""
    months: re.Pattern[str]
    telephone: re.Pattern[str]
    """A whole national telephone number, digits alone."""
    plain_answers: frozenset[str] = frozenset()
    """Whole answers that are complete as they stand."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _digits(text: str) -> dict[str, str]:
    """Digit words in order from zero; spellings of one digit are joined by a slash."""
    return {word: str(digit) for digit, words in enumerate(text.split()) for word in words.split("/")}


def _questions(**patterns: str) -> tuple[tuple[ValueKind, re.Pattern[str]], ...]:
    return tuple(
        (ValueKind[name.rstrip("_")], re.compile(text, re.IGNORECASE)) for name, text in patterns.items()
    )


def _months(text: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(text.split())})\b", re.IGNORECASE)


_ENGLISH = SpokenLanguage(
    unfinished=_words(
        "a an and as at because but er erm for from if in into is it's like my of on or our so than that's"
        " the their then to uh um well which with your dot plus underscore"
    ),
    digits={},
    questions=_questions(
        QUANTITY=r"\bhow (many|much|old|long|often|far|big)\b|\bwhat time\b|\bnumber of (?!(the|your)\b)",
        SPELLING=r"\bspell|\bletter by letter\b",
        EMAIL=r"\be-?mail\b",
        DATE=r"\bdate\b|\bbirthday\b|\bborn\b",
        TELEPHONE=r"\b(tele)?phone\b|\bmobile\b|\bcell\b|\b(call|reach) you( back)?\b",
        CARD=r"\bcard\b",
        DIGITS=r"\b(number|digits?|pin|code|zip|postcode|account|reference)\b",
        ADDRESS=r"\baddress\b|\bstreet\b|\bwhere do you live\b",
        SPELLING_=r"\b(your|first|last|full|family) name\b|\bsurname\b",
        DATE_=r"\bwhen\b|\b(which|what) day\b",
        YES_NO=r"^(is|are|was|were|do|does|did|has|have|should|shall)\b",
    ),
    months=_months(
        "january february march april may june july august september october november december"
        " jan feb mar apr jun jul aug sept? oct nov dec"
    ),
    telephone=re.compile(r"1?[2-9]\d{2}[2-9]\d{6}|0[1-37]\d{9}"),
    plain_answers=frozenset((
        "yes", "no", "yeah", "yep", "yup", "nope", "ok", "okay", "sure", "right", "correct", "exactly",
        "yes please", "no thanks", "no thank you", "thanks", "thank you", "that's right", "that's correct",
        "that's all", "that's it", "of course", "nothing", "nothing else", "none", "never mind", "goodbye",
        "bye", "hello", "hi", "stop", "wait", "i do", "i don't", "i don't know", "i'm not sure", "not really",
        "maybe", "i don't have one", "i don't have it",
    )),
)  # fmt: skip

_OTHERS = {
    "de": SpokenLanguage(
        unfinished=_words(
            "aber als am an auf aus bei das dass dem den der die ein eine einen einer für im in ist mein"
            " meine mit nach oder sein seine um und vom von weil wenn zu zum zur äh ähm also punkt"
        ),
        digits=_digits("null eins/ein zwei/zwo drei vier fünf sechs sieben acht neun"),
        questions=_questions(
            QUANTITY=r"\bwie (viele?|lange|oft|alt|weit)\b|\buhrzeit\b|\banzahl\b",
            SPELLING=r"buchstabier",
            EMAIL=r"\be-?mail",
            DATE=r"datum|geburtstag|\bgeboren\b",
            TELEPHONE=r"telefon|handy|mobil|\brückruf|\bzurückrufen\b|\berreichen\b",
            CARD=r"karte",
            DIGITS=r"nummer|ziffer|zahl\b|code\b|postleitzahl|\bplz\b|\bpin\b|konto",
            ADDRESS=r"adresse|anschrift|straße",
            DATE_=r"\bwann\b|\bwelche[mnr]? tag\b",
        ),
        months=_months(
            "januar februar märz april mai juni juli august september oktober november dezember"
        ),
        telephone=re.compile(r"0\d{11}"),
        plain_answers=frozenset((
            "ja", "nein", "doch", "genau", "richtig", "ja bitte", "nein danke", "danke", "okay", "ok",
            "nichts", "stimmt", "weiß ich nicht", "das weiß ich nicht", "habe ich nicht", "tschüss",
        )),
    ),
    "es": SpokenLanguage(
        unfinished=_words(
            "a al con cuando de del el en es este la las lo los mi mis o para pero por porque que si su un"
            " una y eh pues punto arroba"
        ),
        digits=_digits("cero uno/un dos tres cuatro cinco seis siete ocho nueve"),
        questions=_questions(
            QUANTITY=r"\bcuánt[oa]s?\b|\bqué hora\b",
            SPELLING=r"deletre",
            EMAIL=r"\bcorreo\b|\be-?mail\b",
            DATE=r"\bfecha\b|cumpleaños|\bnaci",
            TELEPHONE=r"teléfono|móvil|celular|\bllamar(le|te)\b",
            CARD=r"tarjeta",
            DIGITS=r"número|dígito|código|\bpin\b|cuenta",
            ADDRESS=r"dirección|domicilio|\bcalle\b",
            DATE_=r"\bcuándo\b|\bqué día\b",
        ),
        months=_months(
            "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"
        ),
        telephone=re.compile(r"[6-9]\d{8}"),
        plain_answers=frozenset(("sí", "si", "no", "vale", "claro", "gracias", "no gracias", "sí por favor")),
    ),
    "fr": SpokenLanguage(
        unfinished=_words(
            "à alors au aux avec c'est car ce chez dans de des du elle en est et euh il je la le les leur ma"
            " mais mes mon ou par parce pour que qui sa si son sur un une point arobase"
        ),
        digits=_digits("zéro un/une deux trois quatre cinq six sept huit neuf"),
        questions=_questions(
            QUANTITY=r"\bcombien\b|\bquelle heure\b|\bquel âge\b",
            SPELLING=r"épel|lettre par lettre",
            EMAIL=r"\be-?mail\b|courriel|adresse électronique",
            DATE=r"\bdate\b|anniversaire|\bnée?\b",
            TELEPHONE=r"téléphone|portable|\brappeler\b|\bjoindre\b",
            CARD=r"\bcarte\b",
            DIGITS=r"numéro|chiffre|\bcode\b|\bcompte\b",
            ADDRESS=r"adresse|\brue\b",
            DATE_=r"\bquand\b|\bquel jour\b",
        ),
        months=_months(
            "janvier février mars avril mai juin juillet août septembre octobre novembre décembre"
        ),
        telephone=re.compile(r"0\d{9}"),
        plain_answers=frozenset(("oui", "non", "d'accord", "merci", "non merci", "oui merci", "exactement")),
    ),
    "nl": SpokenLanguage(
        unfinished=_words(
            "aan als bij dat de dan die een en het in is maar met mijn naar of om omdat op te tot uit van"
            " voor want eh uh dus punt"
        ),
        digits=_digits("nul één/een twee drie vier vijf zes zeven acht negen"),
        questions=_questions(
            QUANTITY=r"\bhoe(veel| lang| vaak| oud| laat)\b|\baantal\b",
            SPELLING=r"spel(len|t|)\b",
            EMAIL=r"\be-?mail",
            DATE=r"datum|verjaardag|\bgeboren\b",
            TELEPHONE=r"telefoon|mobiel|\bterugbellen\b|\bbereiken\b",
            CARD=r"kaart",
            DIGITS=r"nummer|cijfer|\bcode\b|postcode|rekening",
            ADDRESS=r"\badres|straat",
            DATE_=r"\bwanneer\b|\bwelke dag\b",
        ),
        months=_months(
            "januari februari maart april mei juni juli augustus september oktober november december"
        ),
        telephone=re.compile(r"0\d{9}"),
        plain_answers=frozenset(("ja", "nee", "ja graag", "nee dank je", "nee bedankt", "bedankt", "klopt")),
    ),
    "it": SpokenLanguage(
        unfinished=_words(
            "a al alla allora che con da dal dei del della di e ed è gli i il in la le lo ma mia mio nel o"
            " per perché quando se si su sua suo un una ehm punto chiocciola"
        ),
        digits=_digits("zero uno/un due tre quattro cinque sei sette otto nove"),
        questions=_questions(
            QUANTITY=r"\bquant[aeio]\b|\bche ora\b",
            SPELLING=r"compit|lettera per lettera|\bspelling\b",
            EMAIL=r"\be-?mail\b|posta elettronica",
            DATE=r"\bdata\b|compleanno|\bnat[oa]\b",
            TELEPHONE=r"telefono|cellulare|\brichiamar",
            CARD=r"\bcarta\b",
            DIGITS=r"numero|\bcifr|codice|\bconto\b|\bcap\b",
            ADDRESS=r"indirizzo|\bvia\b",
            DATE_=r"\bquando\b|\bche giorno\b",
        ),
        months=_months(
            "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre"
        ),
        telephone=re.compile(r"3\d{9}"),
        plain_answers=frozenset(("sì", "si", "no", "va bene", "certo", "grazie", "no grazie", "sì grazie")),
    ),
    "pt": SpokenLanguage(
        unfinished=_words(
            "a ao as com como da das de do dos e é em então mas meu minha na no nos o os ou para pela pelo"
            " por porque quando que se seu sua um uma eh ponto arroba"
        ),
        digits=_digits("zero um/uma dois/duas três quatro cinco seis/meia sete oito nove"),
        questions=_questions(
            QUANTITY=r"\bquant[ao]s?\b|\bque horas\b",
            SPELLING=r"soletr",
            EMAIL=r"\be-?mail\b|correio eletr",
            DATE=r"\bdata\b|aniversário|\bnasc",
            TELEPHONE=r"telefone|celular|telemóvel|\bligar\b",
            CARD=r"cartão",
            DIGITS=r"número|dígito|código|\bconta\b|\bcep\b|\bcpf\b",
            ADDRESS=r"endereço|morada|\brua\b",
            DATE_=r"\bquando\b|\bque dia\b",
        ),
        months=_months(
            "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro"
        ),
        telephone=re.compile(r"[29]\d{8}|\d{2}9\d{8}"),
        plain_answers=frozenset(("sim", "não", "claro", "obrigado", "obrigada", "não obrigado", "certo")),
    ),
}  # fmt: skip


def spoken_language(tag: str) -> SpokenLanguage:
    """Give the words of a BCP 47 tag's language; English for one that is not known."""
    return _OTHERS.get(tag.lower().split("-")[0], _ENGLISH)
