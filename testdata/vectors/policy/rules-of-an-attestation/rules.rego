package obreia

default allow := false

allow if input.attestation.predicate.level >= 3
