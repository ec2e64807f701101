package obreia

deny contains "x"
