/* ST Nucleo-F446RE: texts go to the debug probe's serial port (USART2, pin PA2), 115200 baud, 8N1. The processor stays on
 * the 16 MHz of its internal oscillator, which it has after reset. */
#include "lam_port.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))

#define RCC_AHB1ENR REGISTER(0x40023830u)
#define RCC_APB1ENR REGISTER(0x40023840u)
#define GPIOA_MODER REGISTER(0x40020000u)
#define GPIOA_AFRL REGISTER(0x40020020u)
#define USART2_SR REGISTER(0x40004400u)
#define USART2_DR REGISTER(0x40004404u)
#define USART2_BRR REGISTER(0x40004408u)
#define USART2_CR1 REGISTER(0x4000440Cu)

#define CLOCK_HZ 16000000u
#define BAUD 115200u

void lam_port_init(void)
{
    RCC_AHB1ENR |= 1u << 0;  /* GPIOA */
    RCC_APB1ENR |= 1u << 17; /* USART2 */
    (void)RCC_APB1ENR;       /* a peripheral needs two cycles after its clock is switched on */
    GPIOA_MODER = (GPIOA_MODER & ~(3u << 4)) | (2u << 4); /* PA2: alternate function .. */
    GPIOA_AFRL = (GPIOA_AFRL & ~(15u << 8)) | (7u << 8);  /* .. 7, USART2_TX */
    USART2_BRR = (CLOCK_HZ + BAUD / 2u) / BAUD;
    USART2_CR1 = (1u << 13) | (1u << 3); /* on, transmitter on */
}

void lam_port_write(const char *text)
{
    while (*text != '\0') {
        while ((USART2_SR & (1u << 7)) == 0) { /* data register not empty */
        }
        USART2_DR = (uint8_t)*text++;
    }
    while ((USART2_SR & (1u << 6)) == 0) { /* last bit not sent */
    }
}

void lam_port_exit(int code)
{
    lam_port_write(code == 0 ? "exit code 0\n" : "exit code not 0\n");
    for (;;) {
    }
}

void lam_port_fault(uint32_t pc)
{
    (void)pc; /* a debugger shows it */
    lam_port_write("hard fault\n");
    for (;;) {
    }
}
