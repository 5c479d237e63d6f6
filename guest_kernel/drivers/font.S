// The screen's font, as the distribution's package console-setup-linux has it.
  .section .rodata
  .global console_font_begin, console_font_end
console_font_begin:
  .incbin "console_font.psf"
console_font_end:
  .section .note.GNU-stack, "", @progbits
