//! Any refusal → an error in the protocol's own shape. *pure*
