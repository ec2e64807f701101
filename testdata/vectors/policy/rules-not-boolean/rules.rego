package obreia

allow := "true"
