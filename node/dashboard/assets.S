// The page, and what esbuild made of src/.
  .section .rodata
  .global dashboard_page_begin, dashboard_page_end, dashboard_script_begin, dashboard_script_end
  .global dashboard_style_begin, dashboard_style_end, dashboard_icon_begin, dashboard_icon_end
dashboard_page_begin:
  .incbin "node/dashboard/index.html"
dashboard_page_end:
dashboard_script_begin:
  .incbin "app.js"
dashboard_script_end:
dashboard_style_begin:
  .incbin "app.css"
dashboard_style_end:
dashboard_icon_begin:
  .incbin "node/dashboard/favicon.svg"
dashboard_icon_end:
  .section .note.GNU-stack, "", @progbits
