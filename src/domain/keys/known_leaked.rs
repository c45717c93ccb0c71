//! Private keys that are public because documents contain them (KY-10).
//!
//! The list has only keys that pass all other checks: RSA of 2048 bits and more, exponent 65537.
//! The example keys of operating systems (`ssl-cert-snakeoil.key`) are not in the list, because
//! each host generates its own.

/// The thumbprint (RFC 7638) of each key, and the document that contains the key.
const PUBLISHED: [(&str, &str); 11] = [
    ("IsUn6_e04MaShXFIISMp4kG62LWzMIPy_MvSA5pJgX8", "RFC 7515, appendix A.2"),
    ("xtIsOV1FqKH77AI_A3jdTg5QfdabzqI-LNpYTPi0IgI", "RFC 7516, appendix A.1"),
    ("_K0fXS8wlsT7Tn3vvZrs9qdKUIqi5AxQ5EVk41xi_BM", "RFC 7516, appendix A.2"),
    ("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", "RFC 7517, appendix A.2"),
    ("D8R4-FeTJfzuDUy8bZ0c4hcwpul-Q11gCPs3mw6-R9Q", "RFC 7517, appendix C.1"),
    ("9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI", "RFC 7520, section 3.4"),
    ("h_jutvC-jg3Nwueq8LmdSybXykVsBwk4_5u5Y9JiS7E", "RFC 7520, section 5.1"),
    ("Rt-IyDEhXohvTl_ozKQ9YGflXGuDb3uu3QmqN2LoMwM", "RFC 7520, section 5.2"),
    ("Fa5JHFzFB8yHv0Dk3rGTgtCQPXPr3q8midyfylf8CUU", "RFC 9500, section 2.1 (testRSA2048)"),
    ("u88se-xodYvJqpVtfxKIhE6bv2S6Z9hy1ikqIcPciAE", "RFC 9500, section 2.1 (testRSA4096)"),
    ("oGDmHqCJ7yzMkWEkrlZVHkvrHIyQwtlDmeq5ForUHeY", "the page jwt.io"),
];

/// The document that contains the key with this thumbprint, if one is known.
pub(super) fn source_of(thumbprint: &str) -> Option<&'static str> {
    PUBLISHED.iter().find(|(known, _)| *known == thumbprint).map(|(_, source)| *source)
}
