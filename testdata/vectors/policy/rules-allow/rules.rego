package obreia

default allow := false

allow if count(input.signatures) > 0
