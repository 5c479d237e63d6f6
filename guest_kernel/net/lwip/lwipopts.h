// lwIP's options (src/include/lwip/opt.h has all of them, with defaults): the raw interface, called by one thread.
// Memory: pools of fixed size; what does not fit is dropped, as on the network.
#pragma once

#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0

#define LWIP_IPV4 1
#define LWIP_IPV6 0
#define LWIP_TCP 0
#define LWIP_UDP 1
#define LWIP_RAW 0
#define LWIP_DHCP 1
#define LWIP_DHCP_DOES_ACD_CHECK 0
#define DHCP_DOES_ARP_CHECK 0
// Links find out themselves what size the path takes; a larger datagram is lost.
#define IP_FRAG 0
#define IP_REASSEMBLY 0

#define MEM_ALIGNMENT 8
#define MEM_SIZE (256 * 1024)  // outgoing datagrams, and frames that wait for an address to be resolved
#define MEMP_NUM_UDP_PCB 8
#define MEMP_NUM_ARP_QUEUE 64
#define ARP_QUEUEING 1
#define ARP_QUEUE_LEN 32  // what is sent to a peer before its answer, a window of packets, is not lost
#define PBUF_POOL_SIZE 64
#define PBUF_POOL_BUFSIZE 1536
#define LWIP_NETIF_HOSTNAME 1
#define LWIP_NETIF_TX_SINGLE_PBUF 1

#define LWIP_STATS 0
#define LWIP_TIMERS 1
