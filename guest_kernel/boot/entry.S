// From the loader to C++: 32-bit protected mode without paging, through long mode, into kernel_start() at -2 GiB.
// Two doors: PVH (`qemu -kernel`; Xen's "x86/HVM direct boot ABI") and Multiboot2 (GRUB; Multiboot2 specification 2.0,
// 3.1 and 3.3). There is no Multiboot 1 header on purpose: QEMU would take it first and then refuse a 64-bit ELF.
#define KERNEL_BASE 0xffffffff80000000
#define PHYSICAL(symbol) (symbol - KERNEL_BASE)
#define BOOT_MAPPED_GIB 4
#define BOOT_STACK_BYTES 16384

#define MULTIBOOT2_MAGIC 0xe85250d6
#define MULTIBOOT2_LOADED 0x36d76289
#define BOOT_FROM_PVH 1
#define BOOT_FROM_MULTIBOOT2 2

  .section .note.pvh, "a", @note
  .balign 4
  .long 4                      // size of the name
  .long 8                      // size of the address: QEMU reads 8 bytes from an ELF64
  .long 18                     // XEN_ELFNOTE_PHYS32_ENTRY
  .asciz "Xen"
  .quad boot_pvh_entry

  .section .boot.multiboot2, "a"
  .balign 8
multiboot2_header:
  .long MULTIBOOT2_MAGIC
  .long 0                      // i386, protected mode
  .long multiboot2_header_end - multiboot2_header
  .long 0x100000000 - MULTIBOOT2_MAGIC - (multiboot2_header_end - multiboot2_header)
  .balign 8
  .short 3, 0                  // entry address: the ELF's own entry is PVH's
  .long 12
  .long boot_multiboot2_entry
  .balign 8
  .short 5, 1                  // framebuffer, optional: a size that can be read, 32 bits a pixel
  .long 20
  .long 1024, 768, 32
  .balign 8
  .short 6, 0                  // modules start on pages
  .long 8
  .balign 8
  .short 0, 0
  .long 8
multiboot2_header_end:

  .section .boot.text, "ax"
  .code32
  .global boot_pvh_entry
boot_pvh_entry:
  movl $BOOT_FROM_PVH, %edi
  jmp boot_common

boot_multiboot2_entry:
  movl $BOOT_FROM_MULTIBOOT2, %edi
  cmpl $MULTIBOOT2_LOADED, %eax
  je boot_common
  movl $text_bad_loader, %esi
  jmp boot_refuse

// In: %edi which door, %ebx the loader's information, physical.
boot_common:
  cli
  cld
  movl $PHYSICAL(boot_stack_end), %esp
  movl %ebx, %ebp
  movl $0x80000000, %eax
  cpuid
  cmpl $0x80000001, %eax
  jb boot_old_cpu
  movl $0x80000001, %eax
  cpuid
  andl $((1 << 29) | (1 << 20)), %edx    // long mode, no-execute pages
  cmpl $((1 << 29) | (1 << 20)), %edx
  jne boot_old_cpu

  // The first 4 GiB where they are, and the first GiB at -2 GiB too, in pages of 2 MiB; memory/ makes the real map.
  movl $PHYSICAL(boot_directories), %eax
  movl $0x83, %edx                       // present, writable, large
  movl $(BOOT_MAPPED_GIB * 512), %ecx
1:
  movl %edx, (%eax)
  movl $0, 4(%eax)
  addl $0x200000, %edx
  addl $8, %eax
  loop 1b
  movl $PHYSICAL(boot_directories), %edx
  orl $3, %edx
  movl $PHYSICAL(boot_low_pointers), %eax
  movl %edx, (%eax)
  movl %edx, PHYSICAL(boot_high_pointers) + 510 * 8
  movl $(BOOT_MAPPED_GIB - 1), %ecx
2:
  addl $8, %eax
  addl $4096, %edx
  movl %edx, (%eax)
  loop 2b
  movl $(PHYSICAL(boot_low_pointers) + 3), PHYSICAL(boot_root)
  movl $(PHYSICAL(boot_low_pointers) + 3), PHYSICAL(boot_root) + 256 * 8   // the direct map, memory/layout.h
  movl $(PHYSICAL(boot_high_pointers) + 3), PHYSICAL(boot_root) + 511 * 8

  movl $((1 << 5) | (1 << 7) | (1 << 9) | (1 << 10)), %eax   // CR4: PAE, PGE, OSFXSR, OSXMMEXCPT
  movl %eax, %cr4
  movl $PHYSICAL(boot_root), %eax
  movl %eax, %cr3
  movl $0xc0000080, %ecx                 // EFER: long mode and no-execute pages
  rdmsr
  orl $((1 << 8) | (1 << 11)), %eax
  wrmsr
  movl $0x80010033, %eax                 // CR0: PG, WP, NE, ET, MP, PE; neither EM nor TS
  movl %eax, %cr0
  lgdt boot_gdt_pointer
  ljmp $8, $boot_long_mode

boot_old_cpu:
  movl $text_old_cpu, %esi
boot_refuse:                             // prints %esi on COM1 as the firmware left it, then stops
  movw $0x3f8, %dx
3:
  lodsb
  testb %al, %al
  jz 4f
  outb %al, %dx
  jmp 3b
4:
  cli
  hlt
  jmp 4b

  .code64
boot_long_mode:
  movl $0x10, %eax
  movl %eax, %ds
  movl %eax, %es
  movl %eax, %ss
  xorl %eax, %eax
  movl %eax, %fs
  movl %eax, %gs
  movq $boot_stack_end, %rsp
  movl %edi, %edi                        // zero-extended: which door
  movl %ebp, %esi                        // and the loader's information
  xorl %ebp, %ebp                        // the last frame of every stack report
  movq $kernel_start, %rax
  call *%rax
5:
  cli
  hlt
  jmp 5b

  .section .boot.data, "a"
  .balign 8
boot_gdt:
  .quad 0
  .quad 0x00af9b000000ffff               // 64-bit code
  .quad 0x00cf93000000ffff               // data
boot_gdt_pointer:
  .short 23
  .long boot_gdt
text_bad_loader:
  .asciz "\r\nRSE kernel: started by something that is neither PVH nor Multiboot2; use qemu -kernel or GRUB's multiboot2\r\n"
text_old_cpu:
  .asciz "\r\nRSE kernel: this processor has no long mode or no no-execute pages; use a 64-bit x86 machine\r\n"

  .section .bss.boot, "aw", @nobits
  .balign 4096
boot_root: .skip 4096
boot_low_pointers: .skip 4096
boot_high_pointers: .skip 4096
boot_directories: .skip 4096 * BOOT_MAPPED_GIB
boot_stack: .skip BOOT_STACK_BYTES
boot_stack_end:

  .section .note.GNU-stack, "", @progbits
