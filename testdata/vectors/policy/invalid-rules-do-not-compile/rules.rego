package obreia

allow if {
