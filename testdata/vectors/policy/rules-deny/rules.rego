package obreia

default allow := false

allow if count(input.signatures) > 0

deny contains "not on Fridays"
