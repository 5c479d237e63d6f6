// 256 ways in, one way through: saves everything in a Frame (interrupts.h), calls handle_interrupt(), restores.
  .text
  .set vector, 0
  .balign 16
  .global vector_code          // of 16 bytes each
vector_code:
  .rept 256
  .balign 16
  .if !(vector == 8 || (vector >= 10 && vector <= 14) || vector == 17 || vector == 21 || vector == 29 || vector == 30)
  pushq $0                     // the processor pushes an error code for the others
  .endif
  pushq $vector
  jmp save_and_handle
  .set vector, vector + 1
  .endr

save_and_handle:
  pushq %rax
  pushq %rbx
  pushq %rcx
  pushq %rdx
  pushq %rsi
  pushq %rdi
  pushq %rbp
  pushq %r8
  pushq %r9
  pushq %r10
  pushq %r11
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  subq $512, %rsp              // a multiple of 16: the processor aligned the stack before its five words
  fxsave64 (%rsp)
  cld
  movq %rsp, %rdi
  xorl %ebp, %ebp
  call handle_interrupt
  fxrstor64 (%rsp)
  addq $512, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %r11
  popq %r10
  popq %r9
  popq %r8
  popq %rbp
  popq %rdi
  popq %rsi
  popq %rdx
  popq %rcx
  popq %rbx
  popq %rax
  addq $16, %rsp               // vector and error code
  iretq

  .section .note.GNU-stack, "", @progbits
