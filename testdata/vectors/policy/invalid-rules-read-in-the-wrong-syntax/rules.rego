package obreia

allow if input.nothing
