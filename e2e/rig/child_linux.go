package rig

import "syscall"

func dieWithUs(a *syscall.SysProcAttr, sig syscall.Signal) { a.Pdeathsig = sig }
