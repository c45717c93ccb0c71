//! The texts of the pages in English.

use crate::domain::email::EmailError;
use crate::domain::password::{UnusablePassword, Weakness};
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
        error_prefix: "Error: ",
        log_in: "Log in",
        sign_up: "Sign up",
        your_account: "Your account",
        back_to_account: "Back to your account",
        email_address: "Email address",
        password: "Password",
        new_password: "New password",
        logged_in_as: ("You are logged in as ", "."),
        to_continue_to: ("to continue to ", ""),
        and: " and ",
        email_error,
        wrong_password: "This is not your password.",
    },
    script: Script {
        show: "Show",
        show_label: "Show what is typed",
        hide: "Hide",
        hide_label: "Hide what is typed",
    },
    message: Message {
        does_not_work: "That does not work",
        method_not_allowed: "This page does not support this method.",
        not_found: "Page not found",
        nothing_here: "There is nothing at this address.",
        address_too_long: "The address is too long.",
        too_many_cookies: "Too many cookies",
        delete_cookies: "Your browser sent more cookies than can be read. Delete the cookies of this \
                         site, then try again.",
        try_again: "Try again in a moment",
        busy: "The service is busy. What you sent may not have been saved.",
        unreadable: "The request cannot be read.",
        went_wrong: "Something went wrong",
        internal_error: "An internal error occurred. What you sent may not have been saved.",
        too_many_attempts: "Too many attempts",
        too_many_attempts_from_network: "Too many attempts from your network",
        wait,
        client_mistake: "The application that sent you here made a mistake. Please contact its support.",
        start_again: "Start again",
        stale: "This page has been open for too long, or was opened in another browser, or your \
                browser keeps no cookies of this site. Go back to the application and try again.",
        quote_request_id: "If you contact support, quote this request ID:",
    },
    login: Login {
        refused: "The email address or the password is not right.",
        unconfirmed: "If you have just signed up, first confirm the sign-up with the mail that we \
                      have sent to you.",
        out_of_date: "This page was out of date, or your browser keeps no cookies of this site. Enter \
                      the password again.",
        other_account: "Another account has logged in to this browser since this page was opened. \
                        Enter the password again to switch to the account below.",
        forgot_password: "Forgot your password?",
        no_account: "No account yet?",
    },
    signup: SignUp {
        have_account: "Have an account?",
        log_in_instead: "Log in instead",
        taken: "An account with this email address already exists.",
        invalid_invite: "This invitation is not valid. It may have been used or revoked, may have \
                         expired, or may be for another email address.",
        refusal,
        without_invitation: "Sign up without an invitation",
    },
    password_rules: PasswordRules {
        at_least: |minimum| format!("At least {minimum} characters"),
        upper_case: "An upper-case letter",
        lower_case: "A lower-case letter",
        digit: "A digit",
        unrelated_words: "A few unrelated words make a good password",
        broken,
        unusable: |error| match error {
            UnusablePassword::TooLong => "The password is longer than 1024 bytes.",
        },
    },
    access: Access {
        scope,
        use_scope: |scope| format!("use “{scope}”"),
        claim,
        program_of_user: "a program on a device of yours",
    },
    consent: Consent {
        title: "Allow access",
        heading: "Allow access?",
        asks_to: ("", " asks to"),
        access_at: ("This gives it access at ", "."),
        allow: "Allow",
        deny: "Deny",
        returns_to: (
            "Either way you go back to ",
            ". You can withdraw the access at any time on your account page.",
        ),
        other_account: "Use another account",
    },
    form_post: FormPost {
        title: "One moment",
        returning_to: ("You are on your way back to ", "."),
        submit: "Continue",
        program_here: "a program on this device",
    },
    logout: Logout {
        title: "Log out",
        heading: "Log out?",
        stay: "Stay logged in",
        done: "You are logged out",
        nobody: "Nobody is logged in to this browser.",
    },
    account: Account {
        profile_changed: "Your profile is saved.",
        change_address: "Change the address",
        password_changed: "Your password is changed. All your other sessions have ended.",
        session_ended: "The session has ended.",
        others_ended: "All other sessions have ended.",
        withdrawn: "You have withdrawn the access.",
        your_email: "Your email address",
        verified: "verified",
        email_hint: "You log in with this address.",
        mail_hint: "Mails about your account are sent to this address.",
        your_password: "Your password",
        password_hint: "A new password ends all your other sessions, including those of all applications.",
        sessions: "Where you are logged in",
        show_all: |count| format!("Show all {count}"),
        log_out_here: "Log out of this browser",
        log_out_others: "Log out all others",
        log_out_everywhere: "Log out everywhere",
        everywhere_hint: "“Log out all others” ends your sessions in all other browsers and in all \
                          applications. “Log out everywhere” also ends the session in this browser.",
        this_browser: "this browser",
        logged_in_on: "Logged in on",
        and_logged_in_on: "logged in on",
        last_used_on: "Last used on",
        from: "from",
        end_session: "End",
        consents: "Applications with access",
        no_consents: "None. Applications that you allow to access your account are listed here.",
        allowed_on: "allowed on",
        it_may: "It may",
        it_may_at: ("At ", " it may"),
        withdraw: "Withdraw access",
        withdraw_of: "of",
        deletion_hint: "This permanently deletes your account and your profile, withdraws all access \
                        of applications, and ends all your sessions. You need your password.",
    },
    profile: Profile {
        title: "Your profile",
        lead: "Applications see your profile only if you allow it. You can leave any field empty.",
        empty: "Your profile is empty. Applications see what you enter only if you allow it.",
        edit: "Edit your profile",
        names: "Name",
        language_and_zone: "Language and time zone",
        about_you: "About you",
        phone_and_address: "Telephone and postal address",
        label,
        hint,
        claim_error: |error| format!("This {error}."),
        not_set: "Not set",
        submit: "Save",
    },
    password: PasswordChange {
        title: "Change your password",
        lead: "A new password ends all your other sessions. This browser stays logged in.",
        current: "Current password",
        submit: "Change the password",
        keep: "Keep the old password",
        before_last_login: "This page is older than your last login. Type both passwords again.",
    },
    download: DataDownload {
        your_data: "Your data",
        account_hint: "A file with what this service stores about you. You need your password.",
        title: "Download your data",
        lead: "A file with what this service stores about you: your account, profile and sessions, the \
               applications with access, and the log of your account. It contains no password.",
        submit: "Download",
        hint: "The file is in JSON, a format for programs. Keep it safe: it shows from where you logged \
               in.",
    },
    forgotten: Forgotten {
        title: "Forgot your password?",
        lead: "We send a link and a code to the email address of your account.",
        submit: "Send the mail",
        mail_is_off: "Mail is off",
        contact_operator: "This service sends no mail, so it cannot reset passwords here. Please \
                           contact its operator.",
    },
    reset: Reset {
        title: "Set a new password",
        lead: "If the email address has an account, we have sent a mail to it. Open its link, or \
               enter its code here within half an hour.",
        code: "Code",
        wrong_code: "This code is wrong or no longer valid, or it was requested in another browser \
                     or before a logout. The link in the mail works in every browser.",
        submit: "Set the password",
        another_mail: "Send another mail",
        done: "Password changed",
        all_ended: "Your password was changed, and all your sessions have ended.",
        invalid_link: "This link is no longer valid",
        why_invalid: "It was used, or is older than half an hour, or a newer link was sent.",
        new_link: "Request a new link",
    },
    verification: Verification {
        title: "Verify your email address",
        sent: "We have sent a mail to your email address. Open its link, or enter its code here \
               within half an hour.",
        sent_to_new: "We have sent a mail to the new email address, unless it belongs to another \
                      account. Open its link, or enter its code here within half an hour. Your \
                      account keeps the old address until you do.",
        signed_up: "We have sent a mail to your email address. If the address has no account yet, \
                    open the link in the mail, or enter its code here within half an hour. If it \
                    has one, the mail says so.",
        refused: "Your email address is not verified yet. Open the link in the mail that we have \
                  sent to it, or enter the code here.",
        submit: "Verify",
        no_mail: "No mail? Look in the spam folder, or",
        not_verified: "Your email address is not verified. Open the link in the mail that we have \
                       sent to it, or",
        another_mail: "send another mail",
        done: "Your email address is verified",
        changed: "Your email address is changed",
        created: "Your account is ready",
        thanks: "Thank you. You can use your account now.",
        contact_operator: "This service sends no mail. Please contact its operator.",
    },
    verification_link: VerificationLink {
        signed_up_with: (
            "Someone signed up here with ",
            ". If that was you, enter the password of the account.",
        ),
        belongs_to_account: ("Does ", " belong to your account?"),
        submit: "Verify the address",
        confirm_new: "Confirm the new address",
        wanted_for_account: (
            "Someone wants to use ",
            " for an account here. If that was you, enter the password of the account.",
        ),
        new_for_account: ("Do you want to use ", " for your account?"),
        submit_new: "Use the new address",
        confirm_sign_up: "Confirm your sign-up",
        password_chosen: (
            "Someone signed up here with ",
            ". If that was you, enter the password that you chose.",
        ),
        creates_account: ("Do you want to create an account with ", "?"),
        submit_sign_up: "Create the account",
        replace_password: "If you do not know it, or someone else signed up with your address, set a \
                           new password. The account is created with this password, so that only \
                           you can use it.",
        unknown_password: "If you do not know the password",
        set_password: "If you do not know it, or someone else signed up with your address, set a \
                       new password. All sessions of the account end, so that only you can use the \
                       account.",
        why_invalid: "It was used, or is older than half an hour, or a newer link was sent. Log in or \
                      sign up to get another link.",
    },
    email: EmailChange {
        title: "Change your email address",
        lead: (
            "Your address is ",
            ". We send a mail to the new address. With this mail you confirm the new address.",
        ),
        new_address: "New email address",
        your_password: "Your password",
        submit: "Send the mail",
        keep: "Keep the old address",
        unchanged: "This is already the address of your account.",
        contact_operator: "This service sends no mail, so you cannot change your email address here. \
                           Its operator can change it for you.",
    },
    deletion: Deletion {
        title: "Delete your account",
        heading: "Delete your account?",
        lead: (
            "The account of ",
            " and your profile will be deleted. All applications lose access, and all your sessions \
             end. This cannot be undone.",
        ),
        your_password: "Your password",
        submit: "Delete the account",
        hint: "Applications may still have data about you.",
        keep: "Keep the account",
        done: "The account is deleted",
        nobody: "Nobody is logged in to this browser any more.",
    },
    device: Device {
        unknown_browser: "A browser",
        on: |browser, system| format!("{browser} on {system}"),
        time: Timestamp::in_english,
    },
};

fn email_error(error: EmailError) -> &'static str {
    match error {
        EmailError::TooLong => "The email address must be at most 255 characters.",
        EmailError::NotOneAt => "The email address must contain exactly one @.",
        EmailError::LocalPart => "The part of the email address before the @ is not valid.",
        EmailError::Domain => "The domain of the email address is not valid.",
    }
}

fn wait(seconds: u64) -> String {
    match seconds {
        1 => "Wait a second, then try again.".to_owned(),
        seconds => format!("Wait {seconds} seconds, then try again."),
    }
}

fn refusal(refusal: SignUpRefusal) -> &'static str {
    match refusal {
        SignUpRefusal::Closed => "Nobody can sign up here at present.",
        SignUpRefusal::InviteRequired => {
            "You can sign up here only with an invitation. If you have one, open its link."
        }
        SignUpRefusal::DomainNotAllowed => {
            "You cannot sign up with an email address of this domain."
        }
    }
}

/// The message of each rule completes a sentence that begins with “The password”.
fn broken(weaknesses: &[Weakness]) -> String {
    let others = weaknesses.iter().filter(|it| **it != Weakness::Common);
    let others = list(&others.map(ToString::to_string).collect::<Vec<_>>(), " and ");
    let sentence =
        if others.is_empty() { String::new() } else { format!("The password {others}.") };
    let is_common = weaknesses.contains(&Weakness::Common);
    let common = if is_common { "The password is too common. Choose another one." } else { "" };
    [sentence.as_str(), common].join(" ").trim().to_owned()
}

fn label(claim: &str) -> &'static str {
    match claim {
        "name" => "Full name",
        "given_name" => "Given name",
        "middle_name" => "Middle name",
        "family_name" => "Family name",
        "nickname" => "Nickname",
        "preferred_username" => "User name",
        "locale" => "Language",
        "zoneinfo" => "Time zone",
        "gender" => "Gender",
        "birthdate" => "Date of birth",
        "website" => "Website",
        "profile" => "Profile page",
        "picture" => "Picture",
        "phone_number" => "Telephone number",
        "address.street_address" => "Street and number",
        "address.postal_code" => "Postal code",
        "address.locality" => "City",
        "address.region" => "State or province",
        "address.country" => "Country",
        "address.formatted" => "Full address",
        _ => "",
    }
}

fn hint(claim: &str) -> &'static str {
    match claim {
        "preferred_username" => "For display only. You cannot log in with it.",
        "locale" => "The language of these pages and of mails to you.",
        "zoneinfo" => "For example Europe/London",
        "birthdate" => "As 1990-12-31, or only the year",
        "website" | "profile" | "picture" => "Begins with https://",
        "phone_number" => "With + and the country code, without spaces",
        "address.formatted" => "The whole address as on a letter",
        _ => "",
    }
}

fn scope(scope: &str) -> Option<&'static str> {
    Some(match scope {
        "openid" => "know that it is you",
        "profile" => "see your name and what else your profile says",
        "email" => "see your email address",
        "address" => "see your postal address",
        "phone" => "see your telephone number",
        "offline_access" => "stay logged in when you are not using it",
        _ => return None,
    })
}

fn claim(name: &str) -> &'static str {
    match name {
        "name" => "see your name",
        "given_name" => "see your given name",
        "family_name" => "see your family name",
        "middle_name" => "see your middle name",
        "nickname" => "see your nickname",
        "preferred_username" => "see the user name that you prefer",
        "profile" => "see where your profile page is",
        "picture" => "see your picture",
        "website" => "see where your website is",
        "gender" => "see your gender",
        "birthdate" => "see your date of birth",
        "zoneinfo" => "see your time zone",
        "locale" => "see your language",
        "updated_at" => "see when your profile last changed",
        "email" => "see your email address",
        "email_verified" => "see whether your email address has been checked",
        "address" => "see your postal address",
        "phone_number" => "see your telephone number",
        "phone_number_verified" => "see whether your telephone number has been checked",
        _ => "see something else that your profile says",
    }
}
