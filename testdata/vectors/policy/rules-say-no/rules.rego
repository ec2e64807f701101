package obreia

allow := false
