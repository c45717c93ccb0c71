//! The texts of the pages in German, with the terms of the mails.

use crate::domain::email::EmailError;
use crate::domain::password::{UnusablePassword, Weakness};
use crate::domain::profile::ClaimError;
use crate::domain::sign_up_policy::SignUpRefusal;
use crate::http::texts::catalogue::{
    Access, Account, Common, Consent, DataDownload, Deletion, Device, EmailChange, Forgotten,
    FormPost, Login, Logout, Message, PasswordChange, PasswordRules, Profile, Reset, Script,
    SignUp, Texts, Verification, VerificationLink,
};
use crate::http::texts::list::list;
use crate::timestamp::Timestamp;

pub(super) static TEXTS: Texts = Texts {
    common: Common {
        error_prefix: "Fehler: ",
        log_in: "Anmelden",
        sign_up: "Registrieren",
        your_account: "Ihr Konto",
        back_to_account: "Zurück zum Konto",
        email_address: "E-Mail-Adresse",
        password: "Passwort",
        new_password: "Neues Passwort",
        logged_in_as: ("Sie sind als ", " angemeldet."),
        to_continue_to: ("Weiter zu ", ""),
        and: " und ",
        email_error,
        wrong_password: "Das ist nicht Ihr Passwort.",
    },
    script: Script {
        show: "Anzeigen",
        show_label: "Eingabe anzeigen",
        hide: "Verbergen",
        hide_label: "Eingabe verbergen",
    },
    message: Message {
        does_not_work: "Das funktioniert nicht",
        method_not_allowed: "Diese Seite unterstützt diese Methode nicht.",
        not_found: "Seite nicht gefunden",
        nothing_here: "Unter dieser Adresse gibt es nichts.",
        address_too_long: "Die Adresse ist zu lang.",
        too_many_cookies: "Zu viele Cookies",
        delete_cookies: "Ihr Browser hat mehr Cookies gesendet, als gelesen werden können. Löschen Sie \
                         die Cookies dieser Website, und versuchen Sie es noch einmal.",
        try_again: "Versuchen Sie es gleich noch einmal",
        busy: "Der Dienst ist überlastet. Ihre Eingaben wurden möglicherweise nicht gespeichert.",
        unreadable: "Die Anfrage kann nicht gelesen werden.",
        went_wrong: "Etwas ist schiefgegangen",
        internal_error: "Ein interner Fehler ist aufgetreten. Ihre Eingaben wurden möglicherweise \
                         nicht gespeichert.",
        too_many_attempts: "Zu viele Versuche",
        too_many_attempts_from_network: "Zu viele Versuche aus Ihrem Netzwerk",
        wait,
        client_mistake: "Die Anwendung, die Sie hierher geleitet hat, hat einen Fehler gemacht. Bitte \
                         wenden Sie sich an den Support dieser Anwendung.",
        start_again: "Beginnen Sie von vorn",
        stale: "Diese Seite war zu lange offen oder wurde in einem anderen Browser geöffnet, oder \
                Ihr Browser speichert keine Cookies dieser Website. Gehen Sie zurück zur Anwendung, \
                und versuchen Sie es noch einmal.",
        quote_request_id: "Wenn Sie sich an den Support wenden, geben Sie diese Anfrage-ID an:",
    },
    login: Login {
        refused: "Die E-Mail-Adresse oder das Passwort ist falsch.",
        unconfirmed: "Wenn Sie sich gerade registriert haben, bestätigen Sie die Registrierung \
                      zuerst mit der E-Mail, die wir Ihnen gesendet haben.",
        out_of_date: "Diese Seite war veraltet, oder Ihr Browser speichert keine Cookies dieser \
                      Website. Geben Sie das Passwort noch einmal ein.",
        other_account: "In diesem Browser ist inzwischen ein anderes Konto angemeldet. Geben Sie das \
                        Passwort noch einmal ein, um zu diesem Konto zu wechseln.",
        forgot_password: "Passwort vergessen?",
        no_account: "Noch kein Konto?",
    },
    signup: SignUp {
        have_account: "Haben Sie schon ein Konto?",
        log_in_instead: "Stattdessen anmelden",
        taken: "Zu dieser E-Mail-Adresse gibt es schon ein Konto.",
        invalid_invite: "Diese Einladung ist nicht gültig. Vielleicht wurde sie schon verwendet oder \
                         widerrufen, ist abgelaufen oder gilt für eine andere E-Mail-Adresse.",
        refusal,
        without_invitation: "Ohne Einladung registrieren",
    },
    password_rules: PasswordRules {
        at_least: |minimum| format!("Mindestens {minimum} Zeichen"),
        upper_case: "Ein Großbuchstabe",
        lower_case: "Ein Kleinbuchstabe",
        digit: "Eine Ziffer",
        unrelated_words: "Ein paar Wörter ohne Zusammenhang sind ein gutes Passwort",
        broken,
        unusable: |error| match error {
            UnusablePassword::TooLong => "Das Passwort ist länger als 1024 Bytes.",
        },
    },
    access: Access {
        scope,
        use_scope: |scope| format!("„{scope}“ verwenden"),
        claim,
        program_of_user: "ein Programm auf einem Ihrer Geräte",
    },
    consent: Consent {
        title: "Zugriff erlauben",
        heading: "Zugriff erlauben?",
        asks_to: ("", " möchte"),
        access_at: ("Damit erhält die Anwendung Zugriff bei ", "."),
        allow: "Erlauben",
        deny: "Ablehnen",
        returns_to: (
            "In beiden Fällen geht es danach zurück zu ",
            ". Sie können diese Erlaubnis jederzeit auf Ihrer Kontoseite widerrufen.",
        ),
        other_account: "Anderes Konto verwenden",
    },
    form_post: FormPost {
        title: "Einen Moment",
        returning_to: ("Sie werden zurückgeleitet zu ", "."),
        submit: "Weiter",
        program_here: "einem Programm auf diesem Gerät",
    },
    logout: Logout {
        title: "Abmelden",
        heading: "Abmelden?",
        stay: "Angemeldet bleiben",
        done: "Sie sind abgemeldet",
        nobody: "In diesem Browser ist niemand angemeldet.",
    },
    account: Account {
        profile_changed: "Ihr Profil wurde gespeichert.",
        change_address: "Adresse ändern",
        password_changed: "Ihr Passwort wurde geändert. Alle anderen Sitzungen wurden beendet.",
        session_ended: "Die Sitzung wurde beendet.",
        others_ended: "Alle anderen Sitzungen wurden beendet.",
        withdrawn: "Sie haben die Erlaubnis widerrufen.",
        your_email: "Ihre E-Mail-Adresse",
        verified: "bestätigt",
        email_hint: "Mit dieser Adresse melden Sie sich an.",
        mail_hint: "E-Mails zu Ihrem Konto gehen an diese Adresse.",
        your_password: "Ihr Passwort",
        password_hint: "Ein neues Passwort beendet alle anderen Sitzungen, auch die aller Anwendungen.",
        sessions: "Wo Sie angemeldet sind",
        show_all: |count| format!("Alle {count} anzeigen"),
        log_out_here: "In diesem Browser abmelden",
        log_out_others: "Überall sonst abmelden",
        log_out_everywhere: "Überall abmelden",
        everywhere_hint: "„Überall sonst abmelden“ beendet Ihre Sitzungen in allen anderen Browsern \
                          und in allen Anwendungen. „Überall abmelden“ beendet auch die Sitzung in \
                          diesem Browser.",
        this_browser: "dieser Browser",
        logged_in_on: "Angemeldet am",
        and_logged_in_on: "angemeldet am",
        last_used_on: "Zuletzt benutzt am",
        from: "von",
        end_session: "Beenden",
        consents: "Anwendungen mit Zugriff",
        no_consents: "Keine. Anwendungen, denen Sie Zugriff auf Ihr Konto erlauben, werden hier \
                      aufgeführt.",
        allowed_on: "erlaubt am",
        it_may: "Die Anwendung darf",
        it_may_at: ("Bei ", " darf die Anwendung"),
        withdraw: "Zugriff widerrufen",
        withdraw_of: "von",
        deletion_hint: "Damit werden Ihr Konto, Ihr Profil und alles, was Sie erlaubt haben, endgültig \
                        gelöscht und alle Sitzungen beendet. Sie brauchen dafür Ihr Passwort.",
    },
    profile: Profile {
        title: "Ihr Profil",
        lead: "Anwendungen sehen Ihr Profil nur, wenn Sie es erlauben. Sie können jedes Feld leer \
               lassen.",
        empty: "Ihr Profil ist leer. Anwendungen sehen Ihre Angaben nur, wenn Sie es erlauben.",
        edit: "Profil bearbeiten",
        names: "Name",
        language_and_zone: "Sprache und Zeitzone",
        about_you: "Über Sie",
        phone_and_address: "Telefon und Postanschrift",
        label,
        hint,
        claim_error,
        not_set: "Keine Angabe",
        submit: "Speichern",
    },
    password: PasswordChange {
        title: "Passwort ändern",
        lead: "Ein neues Passwort beendet alle anderen Sitzungen. In diesem Browser bleiben Sie \
               angemeldet.",
        current: "Aktuelles Passwort",
        submit: "Passwort ändern",
        keep: "Altes Passwort behalten",
        before_last_login: "Diese Seite war älter als Ihre letzte Anmeldung. Geben Sie beide \
                            Passwörter noch einmal ein.",
    },
    download: DataDownload {
        your_data: "Ihre Daten",
        account_hint: "Eine Datei mit allem, was dieser Dienst über Sie speichert. Sie brauchen dafür \
                       Ihr Passwort.",
        title: "Daten herunterladen",
        lead: "Eine Datei mit allem, was dieser Dienst über Sie speichert: Konto, Profil, Sitzungen, \
               was Sie erlaubt haben, und das Protokoll Ihres Kontos. Sie enthält kein Passwort.",
        submit: "Herunterladen",
        hint: "Die Datei hat das Format JSON, das für Programme gedacht ist. Bewahren Sie sie sicher \
               auf: Sie zeigt, von wo Sie sich angemeldet haben.",
    },
    forgotten: Forgotten {
        title: "Passwort vergessen?",
        lead: "Wir senden einen Link und einen Code an die E-Mail-Adresse Ihres Kontos.",
        submit: "E-Mail senden",
        mail_is_off: "Kein E-Mail-Versand",
        contact_operator: "Dieser Dienst sendet keine E-Mails und kann Passwörter hier deshalb nicht \
                           zurücksetzen. Bitte wenden Sie sich an den Betreiber.",
    },
    reset: Reset {
        title: "Neues Passwort festlegen",
        lead: "Wenn es zu der E-Mail-Adresse ein Konto gibt, haben wir eine E-Mail dorthin gesendet. \
               Öffnen Sie den Link darin, oder geben Sie den Code innerhalb einer halben Stunde hier \
               ein.",
        code: "Code",
        wrong_code: "Dieser Code ist falsch, nicht mehr gültig oder wurde in einem anderen Browser \
                     oder vor einer Abmeldung angefordert. Der Link in der E-Mail funktioniert in jedem Browser.",
        submit: "Passwort festlegen",
        another_mail: "Noch eine E-Mail senden",
        done: "Passwort geändert",
        all_ended: "Ihr Passwort wurde geändert, und alle Sitzungen wurden beendet.",
        invalid_link: "Dieser Link ist nicht mehr gültig",
        why_invalid: "Er wurde schon verwendet oder ist älter als eine halbe Stunde, oder es wurde ein \
                      neuerer gesendet.",
        new_link: "Neuen Link anfordern",
    },
    verification: Verification {
        title: "E-Mail-Adresse bestätigen",
        sent: "Wir haben eine E-Mail an Ihre Adresse gesendet. Öffnen Sie den Link darin, oder geben \
               Sie den Code innerhalb einer halben Stunde hier ein.",
        sent_to_new: "Wir haben eine E-Mail an die neue Adresse gesendet, sofern diese zu keinem \
                      anderen Konto gehört. Öffnen Sie den Link darin, oder geben Sie den Code \
                      innerhalb einer halben Stunde hier ein. Vorher behält Ihr Konto die alte \
                      Adresse.",
        signed_up: "Wir haben eine E-Mail an Ihre Adresse gesendet. Wenn die Adresse noch kein Konto \
                    hat, öffnen Sie den Link darin, oder geben Sie den Code innerhalb einer halben \
                    Stunde hier ein. Wenn sie eines hat, steht es in der E-Mail.",
        refused: "Ihre E-Mail-Adresse ist noch nicht bestätigt. Öffnen Sie den Link in der E-Mail, \
                  die wir Ihnen gesendet haben, oder geben Sie den Code hier ein.",
        submit: "Bestätigen",
        no_mail: "Keine E-Mail erhalten? Sehen Sie im Spam-Ordner nach, oder",
        not_verified: "Ihre E-Mail-Adresse ist noch nicht bestätigt. Öffnen Sie den Link in der \
                       E-Mail, die wir Ihnen gesendet haben, oder",
        another_mail: "fordern Sie eine neue E-Mail an",
        done: "Ihre E-Mail-Adresse ist bestätigt",
        changed: "Ihre E-Mail-Adresse wurde geändert",
        created: "Ihr Konto ist eingerichtet",
        thanks: "Vielen Dank. Sie können Ihr Konto jetzt verwenden.",
        contact_operator: "Dieser Dienst sendet keine E-Mails. Bitte wenden Sie sich an den \
                           Betreiber.",
    },
    verification_link: VerificationLink {
        signed_up_with: (
            "Jemand hat sich hier mit ",
            " registriert. Wenn Sie das waren, geben Sie das Passwort des Kontos ein.",
        ),
        belongs_to_account: ("Gehört ", " zu Ihrem Konto?"),
        submit: "Adresse bestätigen",
        confirm_new: "Neue Adresse bestätigen",
        wanted_for_account: (
            "Jemand möchte ",
            " hier für ein Konto verwenden. Wenn Sie das waren, geben Sie das Passwort des Kontos \
             ein.",
        ),
        new_for_account: ("Möchten Sie ", " für Ihr Konto verwenden?"),
        submit_new: "Neue Adresse verwenden",
        confirm_sign_up: "Registrierung bestätigen",
        password_chosen: (
            "Jemand hat sich hier mit ",
            " registriert. Wenn Sie das waren, geben Sie das Passwort ein, das Sie gewählt haben.",
        ),
        creates_account: ("Möchten Sie mit ", " ein Konto anlegen?"),
        submit_sign_up: "Konto anlegen",
        replace_password: "Wenn Sie es nicht kennen oder sich jemand anderes mit Ihrer Adresse \
                           registriert hat, legen Sie ein neues Passwort fest. Das Konto wird mit \
                           diesem Passwort angelegt, sodass nur Sie es verwenden können.",
        unknown_password: "Wenn Sie das Passwort nicht kennen",
        set_password: "Wenn Sie es nicht kennen oder sich jemand anderes mit Ihrer Adresse registriert \
                       hat, legen Sie ein neues Passwort fest. Alle Sitzungen des Kontos werden \
                       beendet, sodass nur Sie es verwenden können.",
        why_invalid: "Er wurde schon verwendet oder ist älter als eine halbe Stunde, oder es wurde ein \
                      neuerer gesendet. Melden oder registrieren Sie sich, um einen neuen zu \
                      erhalten.",
    },
    email: EmailChange {
        title: "E-Mail-Adresse ändern",
        lead: (
            "Ihre Adresse ist ",
            ". Wir senden eine E-Mail an die neue Adresse. Mit dieser E-Mail bestätigen Sie die neue \
             Adresse.",
        ),
        new_address: "Neue E-Mail-Adresse",
        your_password: "Ihr Passwort",
        submit: "E-Mail senden",
        keep: "Alte Adresse behalten",
        unchanged: "Das ist schon die Adresse Ihres Kontos.",
        contact_operator: "Dieser Dienst sendet keine E-Mails, deshalb können Sie Ihre E-Mail-Adresse \
                           hier nicht ändern. Der Betreiber kann sie für Sie ändern.",
    },
    deletion: Deletion {
        title: "Konto löschen",
        heading: "Konto löschen?",
        lead: (
            "Das Konto ",
            " wird gelöscht, mit Ihrem Profil und allem, was Sie erlaubt haben. Alle Sitzungen \
             werden beendet. Das kann nicht rückgängig gemacht werden.",
        ),
        your_password: "Ihr Passwort",
        submit: "Konto löschen",
        hint: "Anwendungen können weiterhin Daten über Sie haben.",
        keep: "Konto behalten",
        done: "Das Konto ist gelöscht",
        nobody: "In diesem Browser ist niemand mehr angemeldet.",
    },
    device: Device { unknown_browser: "Ein Browser", on, time: Timestamp::in_german },
};

fn email_error(error: EmailError) -> &'static str {
    match error {
        EmailError::TooLong => "Die E-Mail-Adresse darf höchstens 255 Zeichen lang sein.",
        EmailError::NotOneAt => "Die E-Mail-Adresse muss genau ein @ enthalten.",
        EmailError::LocalPart => "Der Teil der E-Mail-Adresse vor dem @ ist nicht gültig.",
        EmailError::Domain => "Die Domain der E-Mail-Adresse ist nicht gültig.",
    }
}

fn wait(seconds: u64) -> String {
    match seconds {
        1 => "Warten Sie eine Sekunde, und versuchen Sie es dann noch einmal.".to_owned(),
        seconds => {
            format!("Warten Sie {seconds} Sekunden, und versuchen Sie es dann noch einmal.")
        }
    }
}

fn refusal(refusal: SignUpRefusal) -> &'static str {
    match refusal {
        SignUpRefusal::Closed => "Zurzeit kann sich hier niemand registrieren.",
        SignUpRefusal::InviteRequired => {
            "Hier können Sie sich nur mit einer Einladung registrieren. Wenn Sie eine haben, öffnen \
             Sie deren Link."
        }
        SignUpRefusal::DomainNotAllowed => {
            "Mit einer E-Mail-Adresse dieser Domain können Sie sich hier nicht registrieren."
        }
    }
}

/// One sentence lists what the password lacks. Each other broken rule has its own sentence.
fn broken(weaknesses: &[Weakness]) -> String {
    let (mut missing, mut sentences) = (Vec::new(), Vec::new());
    for weakness in weaknesses {
        match weakness {
            Weakness::TooShort { minimum } => missing.push(format!("mindestens {minimum} Zeichen")),
            Weakness::NoUpperCase => missing.push("einen Großbuchstaben".to_owned()),
            Weakness::NoLowerCase => missing.push("einen Kleinbuchstaben".to_owned()),
            Weakness::NoDigit => missing.push("eine Ziffer".to_owned()),
            Weakness::TooLong => sentences.push("Das Passwort ist länger als 128 Zeichen."),
            Weakness::Control => sentences.push("Das Passwort enthält ein Steuerzeichen."),
            Weakness::OwnWord => sentences
                .push("Das Passwort enthält Ihre E-Mail-Adresse oder den Namen dieses Dienstes."),
            Weakness::Common => {
                sentences.push("Das Passwort ist zu verbreitet. Wählen Sie ein anderes.");
            }
        }
    }
    let needs = format!("Das Passwort braucht {}.", list(&missing, " und "));
    let needs = Some(needs.as_str()).filter(|_| !missing.is_empty());
    needs.into_iter().chain(sentences).collect::<Vec<_>>().join(" ")
}

fn label(claim: &str) -> &'static str {
    match claim {
        "name" => "Vollständiger Name",
        "given_name" => "Vorname",
        "middle_name" => "Zweiter Vorname",
        "family_name" => "Nachname",
        "nickname" => "Spitzname",
        "preferred_username" => "Benutzername",
        "locale" => "Sprache",
        "zoneinfo" => "Zeitzone",
        "gender" => "Geschlecht",
        "birthdate" => "Geburtsdatum",
        "website" => "Website",
        "profile" => "Profilseite",
        "picture" => "Bild",
        "phone_number" => "Telefonnummer",
        "address.street_address" => "Straße und Hausnummer",
        "address.postal_code" => "Postleitzahl",
        "address.locality" => "Ort",
        "address.region" => "Bundesland oder Region",
        "address.country" => "Land",
        "address.formatted" => "Vollständige Anschrift",
        _ => "",
    }
}

fn hint(claim: &str) -> &'static str {
    match claim {
        "preferred_username" => "Nur zur Anzeige. Sie können sich damit nicht anmelden.",
        "locale" => "Die Sprache dieser Seiten und der E-Mails an Sie.",
        "zoneinfo" => "Zum Beispiel Europe/Berlin",
        "birthdate" => "In der Form 1990-12-31, oder nur das Jahr",
        "website" | "profile" | "picture" => "Beginnt mit https://",
        "phone_number" => "Mit + und Ländervorwahl, ohne Leerzeichen",
        "address.formatted" => "Die ganze Anschrift wie auf einem Brief",
        _ => "",
    }
}

fn claim_error(error: ClaimError) -> String {
    let text = match error {
        ClaimError::TooLong(maximum) => {
            return format!("Höchstens {maximum} Zeichen sind möglich.");
        }
        ClaimError::Empty => "Dieses Feld darf nicht leer sein.",
        ClaimError::Control => "Steuerzeichen sind nicht erlaubt.",
        ClaimError::Invisible => {
            "Unsichtbare Zeichen und solche, die die Schreibrichtung ändern, sind nicht erlaubt."
        }
        ClaimError::Url => {
            "Geben Sie eine Adresse ein, die mit https:// oder http:// beginnt und keinen \
             Benutzernamen enthält."
        }
        ClaimError::Birthdate => {
            "Geben Sie ein Datum als JJJJ-MM-TT oder 0000-MM-TT ein, oder das Jahr als JJJJ."
        }
        ClaimError::TimeZone => {
            "Geben Sie den Namen einer Zeitzone ein, zum Beispiel Europe/Berlin."
        }
        ClaimError::Language => "Geben Sie ein Sprachkürzel ein, zum Beispiel de-AT.",
        ClaimError::Phone => "Geben Sie ein + und danach 7 bis 15 Ziffern ein.",
    };
    text.to_owned()
}

fn scope(scope: &str) -> Option<&'static str> {
    Some(match scope {
        "openid" => "wissen, dass Sie es sind",
        "profile" => "Ihren Namen und die weiteren Angaben in Ihrem Profil sehen",
        "email" => "Ihre E-Mail-Adresse sehen",
        "address" => "Ihre Postanschrift sehen",
        "phone" => "Ihre Telefonnummer sehen",
        "offline_access" => "angemeldet bleiben, während Sie die Anwendung nicht benutzen",
        _ => return None,
    })
}

fn claim(name: &str) -> &'static str {
    match name {
        "name" => "Ihren Namen sehen",
        "given_name" => "Ihren Vornamen sehen",
        "family_name" => "Ihren Nachnamen sehen",
        "middle_name" => "Ihren zweiten Vornamen sehen",
        "nickname" => "Ihren Spitznamen sehen",
        "preferred_username" => "Ihren bevorzugten Benutzernamen sehen",
        "profile" => "die Adresse Ihrer Profilseite sehen",
        "picture" => "Ihr Bild sehen",
        "website" => "die Adresse Ihrer Website sehen",
        "gender" => "Ihr Geschlecht sehen",
        "birthdate" => "Ihr Geburtsdatum sehen",
        "zoneinfo" => "Ihre Zeitzone sehen",
        "locale" => "Ihre Sprache sehen",
        "updated_at" => "sehen, wann Ihr Profil zuletzt geändert wurde",
        "email" => "Ihre E-Mail-Adresse sehen",
        "email_verified" => "sehen, ob Ihre E-Mail-Adresse bestätigt ist",
        "address" => "Ihre Postanschrift sehen",
        "phone_number" => "Ihre Telefonnummer sehen",
        "phone_number_verified" => "sehen, ob Ihre Telefonnummer bestätigt ist",
        _ => "eine weitere Angabe in Ihrem Profil sehen",
    }
}

fn on(browser: &str, system: &str) -> String {
    match system {
        "iPhone" | "iPad" => format!("{browser} auf dem {system}"),
        _ => format!("{browser} unter {system}"),
    }
}
