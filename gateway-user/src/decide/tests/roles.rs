//! Rules that say in which role something is done.

use super::*;

const X: &str = "arn:aws:iam::222222222222:role/x";
const Y: &str = "arn:aws:iam::333333333333:role/y";

fn rules() -> String {
    format!(
        r#"@id("plain") permit (principal, action in Action::"s3:Read", resource);
           @id("x") @role("{X}") permit (principal, action in Action::"s3:*", resource)
           when {{ resource.arn like "arn:aws:s3:::x*" }};
           @id("y") @role("{Y}") permit (principal, action in Action::"s3:*", resource)
           when {{ resource.arn like "arn:aws:s3:::*y/k" }};"#
    )
}

/// The role of the permit, or the roles that it would have to be done in.
#[track_caller]
fn check(own: Option<&str>, pairs: &[(&str, &str)], expected: Result<Option<&str>, &[&str]>) {
    let mut caller = caller(&[]);
    let session = Arc::get_mut(&mut caller.session).unwrap();
    Arc::get_mut(&mut session.workload).unwrap().role_arn = own.map(str::to_owned);
    let found = match judge(&policies(&rules()), &caller, operation(pairs)) {
        Verdict::Allow(permit) => Ok(permit.role().map(str::to_owned)),
        Verdict::Deny(Denial { reason: Reason::DifferentRoles { roles }, .. }) => Err(roles),
        other => panic!("{other:?}"),
    };
    let words = |roles: &[&str]| roles.iter().map(|role| (*role).to_owned()).collect::<Vec<_>>();
    assert_eq!(found, expected.map(|role| role.map(str::to_owned)).map_err(words), "{pairs:?}");
}

#[test]
fn the_role_of_a_permit() {
    let (a, x, y, xy) = ("arn:aws:s3:::a/k", "arn:aws:s3:::x/k", "arn:aws:s3:::y/k", "arn:aws:s3:::xy/k");
    check(None, &[("s3:GetObject", a)], Ok(None));
    check(None, &[("s3:PutObject", x)], Ok(Some(X)));
    // A rule that names a role says more than one that names none.
    check(None, &[("s3:GetObject", x)], Ok(Some(X)));
    check(None, &[("s3:GetObject", x), ("s3:PutObject", "arn:aws:s3:::x/2")], Ok(Some(X)));
    // A call is signed once.
    check(None, &[("s3:GetObject", x), ("s3:PutObject", y)], Err(&[X, Y]));
    check(None, &[("s3:GetObject", a), ("s3:PutObject", y)], Err(&["the workload's own", Y]));
    check(None, &[("s3:PutObject", xy)], Err(&[X, Y]));
    // To name the workload's own role is to name none.
    check(Some(Y), &[("s3:GetObject", a), ("s3:PutObject", y)], Ok(None));
    check(Some(Y), &[("s3:GetObject", x), ("s3:PutObject", y)], Err(&["the workload's own", X]));
}
